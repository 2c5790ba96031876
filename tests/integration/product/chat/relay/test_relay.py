"""An answer that one product_api writes and another one's readers follow, join and stop."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from uuid import UUID

import pytest
import pytest_asyncio

from b2b_chat.product.chat.relay.bus import EVERYBODY
from b2b_chat.product.chat.relay.messages import Ended, Follow, Piece, Taken, encode
from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.database.world import Person, World
from support.gateway.fake import ANSWER, FakeGateway, Gate, error_event
from support.processes.waiting import until
from support.product.app import Client, Event, error_of, follow, following, text_of
from support.product.relay import (
    Dictation,
    Two,
    clients_of,
    connection_to,
    overhearing,
    running_valkey,
    speaking,
    two_products,
)
from support.telemetry.counts import Counts, count

SAME = {"client_message_id": "same"}


@pytest.fixture(scope="module")
def valkey(valkey_server: EmbeddedValkey) -> EmbeddedValkey:
    """The server that the products share."""
    return valkey_server


@pytest_asyncio.fixture(scope="module")
async def urls(
    database_url: str, module_gateway: FakeGateway, valkey: EmbeddedValkey
) -> AsyncIterator[tuple[str, str]]:
    async with two_products(database_url, module_gateway.url, valkey) as urls:
        yield urls


@pytest_asyncio.fixture
async def two(urls: tuple[str, str], person: Person, gateway: FakeGateway) -> AsyncIterator[Two]:
    """One database, one Valkey, and two products that let an answer go on without a reader."""
    del gateway  # begins anew
    async with clients_of(urls, person) as two:
        yield two


@pytest_asyncio.fixture(scope="module")
async def hasty_urls(
    database_url: str, module_gateway: FakeGateway, valkey: EmbeddedValkey
) -> AsyncIterator[tuple[str, str]]:
    async with two_products(database_url, module_gateway.url, valkey, chat_resume_window_seconds=0.0) as urls:
        yield urls


@pytest_asyncio.fixture
async def hasty_two(hasty_urls: tuple[str, str], person: Person, gateway: FakeGateway) -> AsyncIterator[Two]:
    """Two products that end an answer as soon as nobody reads it."""
    del gateway  # begins anew
    async with clients_of(hasty_urls, person) as two:
        yield two


@pytest.fixture(scope="module")
def failing_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    with running_valkey(tmp_path_factory.mktemp("failing-valkey")) as server:
        yield server


@pytest_asyncio.fixture(scope="module")
async def exposed_urls(
    database_url: str, module_gateway: FakeGateway, failing_valkey: EmbeddedValkey
) -> AsyncIterator[tuple[str, str]]:
    async with two_products(database_url, module_gateway.url, failing_valkey) as urls:
        yield urls


@pytest_asyncio.fixture
async def exposed_two(
    exposed_urls: tuple[str, str], failing_valkey: EmbeddedValkey, person: Person, gateway: FakeGateway
) -> AsyncIterator[Two]:
    """Two products whose Valkey a test may stop."""
    del gateway  # begins anew
    await asyncio.to_thread(failing_valkey.stop)
    await asyncio.to_thread(failing_valkey.start)
    async with clients_of(exposed_urls, person) as two:
        yield two


async def test_a_reader_goes_on_elsewhere_where_it_left(two: Two, gateway: FakeGateway, world: World) -> None:
    gateway.reply = gate = Gate("Once upon")
    begun = Counts("product_relay_pieces_total", "product_relay_gaps_total", "product_relay_resends_total")
    answered = count("product_relay_asks_total", outcome="answered")
    async with two.here.streaming() as sent:
        start, first = await anext(sent), await anext(sent)
    answer_id = start.data["assistant_message_id"]
    async with following(two.there, answer_id, first.id) as events, following(two.there, answer_id) as whole:
        assert (await anext(whole)) == start
        await until(lambda: none_but(followers=1, mirrors=1))
        gate.open()
        rest = [event async for event in events]
        all_of_it = [event async for event in whole]
    stored = await follow(two.here, answer_id, first.id)
    assert first.data["text"] + text_of(rest) == ANSWER == text_of(all_of_it)
    assert rest[-1] == all_of_it[-1] == stored[-1]
    assert len(gateway.calls) == 1
    assert not gateway.calls[0].left.is_set()
    await until(lambda: none_but(followers=0, mirrors=0))
    assert count("product_relay_asks_total", outcome="answered") == answered + 1
    pieces, gaps, resends = begun.risen().values()
    assert (pieces > 0, gaps, resends) == (True, 0, 0)
    await world.check_books()


async def none_but(*, followers: int, mirrors: int) -> bool:
    """Whether so many answers are relayed in this process, which all products of this module share."""
    return (count("product_relay_followers"), count("product_relay_mirrors")) == (followers, mirrors)


async def test_nothing_is_sent_that_nobody_elsewhere_reads(
    two: Two, gateway: FakeGateway, valkey: EmbeddedValkey
) -> None:
    gateway.reply = spoken = Dictation()
    async with overhearing(valkey) as overheard, two.here.streaming() as sent:
        start = await anext(sent)
        for word in ("Once ", "upon ", "a "):
            spoken.say(word)
            assert (await anext(sent)).data["text"] == word
        assert not overheard.asks
        assert not overheard.pieces
        async with following(two.there, start.data["assistant_message_id"]) as second:
            await anext(second)
            assert (await anext(second)).data["text"] == spoken.text
            async with following(two.there, start.data["assistant_message_id"]) as third:
                await anext(third)
                assert (await anext(third)).data["text"] == spoken.text
                spoken.say("time.")
                assert (await anext(second)).data["text"] == (await anext(third)).data["text"] == "time."
        spoken.end()
        last = [event async for event in sent][-1]
    assert last.name == "final"
    assert "".join(piece.text for piece in overheard.pieces) == spoken.text, "it was sent more than once"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("retry_stream", [False, True])
async def test_a_retry_joins_elsewhere(
    two: Two,
    gateway: FakeGateway,
    valkey: EmbeddedValkey,
    world: World,
    person: Person,
    *,
    stream: bool,
    retry_stream: bool,
) -> None:
    gateway.reply = gate = Gate("Once upon")

    async def sent_by(client: Client, *, stream: bool) -> dict[str, object]:
        if not stream:
            return await client.ask(**SAME)
        start, *_, last = await client.stream(**SAME)
        return start.data | last.data

    async with overhearing(valkey) as overheard:
        first = asyncio.create_task(sent_by(two.here, stream=stream))
        await gateway.call()
        retries = [asyncio.create_task(sent_by(two.there, stream=retry_stream)) for _ in range(3)]

        async def was_asked_for() -> bool:
            return bool(overheard.asks)

        await until(was_asked_for)
        gate.open()
        assert await asyncio.gather(*retries) == [await first] * 3
    assert len(gateway.calls) == 1
    assert len(await world.ledger(person)) == 2  # the top-up and one charge
    await world.check_books()


async def test_the_same_message_to_both_at_once_is_answered_once(two: Two, gateway: FakeGateway, world: World) -> None:
    for number in range(10):
        same = {"client_message_id": f"same-{number}"}
        answers = await asyncio.gather(*[client.ask(**same) for client in two for _ in range(4)])
        assert all(answer == answers[0] for answer in answers)
    assert len(gateway.calls) == 10
    await world.check_books()


async def test_stopping_from_elsewhere(two: Two, gateway: FakeGateway, world: World, person: Person) -> None:
    gateway.reply = Gate("Once upon")
    async with two.here.streaming() as sent:
        path = f"/v1/chat/{(await anext(sent)).data['assistant_message_id']}/stop"
        await anext(sent)
        first = await two.there.http.post(path)
        await asyncio.wait_for(gateway.calls[0].left.wait(), 1)
        (last,) = [event async for event in sent]
    again = await asyncio.gather(*[client.http.post(path) for client in two for _ in range(3)])
    stopped = first.json()
    assert all(each.json() == stopped for each in again)
    assert (stopped["status"], stopped["text"]) == ("stopped", "Once upon")
    assert last.data == {name: stopped[name] for name in last.data}
    assert len(await world.ledger(person)) == 2
    await world.check_books()


async def test_stopping_from_everywhere_at_once(two: Two, gateway: FakeGateway, world: World) -> None:
    gateway.reply = Gate("Once upon")
    async with two.here.streaming() as sent:
        answer_id = (await anext(sent)).data["assistant_message_id"]
        await anext(sent)
        async with following(two.there, answer_id) as events:
            path = f"/v1/chat/{answer_id}/stop"
            stops = await asyncio.gather(*[client.http.post(path) for client in two for _ in range(5)])
            followed = [event async for event in events]
    assert all(each.json() == stops[0].json() for each in stops)
    assert followed[-1].data["status"] == "stopped" == stops[0].json()["status"]
    await world.check_books()


async def test_a_failure_is_told_elsewhere_as_here(two: Two, gateway: FakeGateway, world: World) -> None:
    gateway.reply = spoken = Dictation()
    async with two.here.streaming() as sent:
        start = await anext(sent)
        spoken.say("Once ")
        await anext(sent)
        async with following(two.there, start.data["assistant_message_id"]) as elsewhere:
            assert (await anext(elsewhere)) == start
            await anext(elsewhere)
            await gateway.calls[0].send_chunk(error_event("upstream_stalled"))
            (told_here,) = [event async for event in sent]
            (told_there,) = [event async for event in elsewhere]
    assert told_here == told_there
    assert told_there.data["detail"]["code"] == "gateway_timeout"
    await world.check_books()


async def test_who_may_not_read_it_here_may_not_elsewhere(
    two: Two, gateway: FakeGateway, urls: tuple[str, str], world: World, person: Person
) -> None:
    gateway.reply = Gate("Once upon")
    async with two.here.streaming() as sent:
        answer_id = (await anext(sent)).data["assistant_message_id"]
        for other in (await world.person(company_id=person.company_id), await world.person()):
            async with clients_of(urls, other) as theirs:
                for client in theirs:
                    seen = await client.http.get(f"/v1/chat/{answer_id}/events")
                    assert error_of(seen) == (404, "answer_not_found")
                    stopped = await client.http.post(f"/v1/chat/{answer_id}/stop")
                    assert error_of(stopped) == (404, "answer_not_found")


async def test_what_is_lost_on_the_way_is_asked_for_again(
    two: Two, client: Client, gateway: FakeGateway, valkey: EmbeddedValkey
) -> None:
    """The test answers for the process that writes, which knows nothing of Valkey, and answers badly."""
    gateway.reply = Gate("Once ")
    follower, gaps = two.there, Counts("product_relay_gaps_total")
    async with client.streaming() as sent, speaking(valkey) as said:
        answer_id = (await anext(sent)).data["assistant_message_id"]
        async with following(follower, answer_id) as events:
            ask = await said.asked(position=0)
            await said.tell(ask, Taken(ask.follow, said.inbox))
            await said.tell(ask, Piece(ask.follow, 0, "Once "))
            await said.tell(ask, Piece(ask.follow, 10, "a time."))
            ask = await said.asked(position=5)
            await said.tell(ask, Taken(ask.follow, said.inbox))
            await said.tell(ask, Piece(ask.follow, 0, "Once upon "))
            await said.tell(ask, Piece(ask.follow, 5, "upon "))
            await said.tell(ask, b"not a message")
            await said.tell(ask, Piece(ask.follow + 1000, 10, "of another follow"))
            await said.tell(ask, Piece(ask.follow, 10, "a time."))
            await said.tell(ask, Ended(ask.follow, 99, "answer_cut"))
            ask = await said.asked(position=17)
            await said.tell(ask, Taken(ask.follow, said.inbox))
            await said.tell(ask, Ended(ask.follow, 17, "gateway_timeout"))
            heard = [event async for event in events]
    assert text_of(heard) == "Once upon a time."
    assert heard[-1].data["detail"]["code"] == "gateway_timeout"
    assert gaps.risen() == {"product_relay_gaps_total": 2}  # a piece, and the end


async def test_a_follower_that_falls_silent_is_let_go(two: Two, gateway: FakeGateway, valkey: EmbeddedValkey) -> None:
    gateway.reply = gate = Gate("Once ")
    silent = Counts("product_relay_silent_followers_total")
    async with two.here.streaming() as sent, connection_to(valkey) as client:
        start, _ = await anext(sent), await anext(sent)
        answer_id = UUID(start.data["assistant_message_id"])
        await client.publish(EVERYBODY, encode(Follow(answer_id, 1, f"{EVERYBODY}:silent", 1, 0, stop=False)))
        await until(lambda: none_but(followers=1, mirrors=0))
        await until(lambda: none_but(followers=0, mirrors=0))
        gate.open()
        assert [event async for event in sent][-1].name == "final"
    assert silent.risen() == {"product_relay_silent_followers_total": 1}


async def test_a_run_goes_on_as_long_as_one_reads_anywhere(
    hasty_two: Two, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = spoken = Dictation()
    here, there = hasty_two
    async with AsyncExitStack() as last_reader:
        async with here.streaming() as sent:
            answer_id = (await anext(sent)).data["assistant_message_id"]
            spoken.say("Once ")
            await anext(sent)
            for _ in range(3):  # readers elsewhere come and go
                async with following(there, answer_id) as events:
                    assert [(await anext(events)).name, (await anext(events)).name] == ["start", "delta"]
            events = await last_reader.enter_async_context(following(there, answer_id))
            assert [(await anext(events)).name, (await anext(events)).name] == ["start", "delta"]
        spoken.say("upon ")  # the one here has left
        assert (await anext(events)).data["text"] == "upon "
        assert not gateway.calls[0].left.is_set()
    await asyncio.wait_for(gateway.calls[0].left.wait(), 5)

    async def has_failed() -> bool:
        return bool((await world.answer(person))["status"] == "error")

    await until(has_failed)
    assert (await world.answer(person))["error_code"] == "client_disconnected"
    await world.check_books()


async def test_a_retry_elsewhere_of_what_is_just_given_up_is_answered(
    hasty_two: Two, gateway: FakeGateway, world: World
) -> None:
    here, there = hasty_two
    for number in range(15):
        gateway.forget()
        gateway.reply = gate = Gate("Once ")
        same = {"client_message_id": f"same-{number}"}
        async with here.streaming(**same) as sent:
            assert [(await anext(sent)).name, (await anext(sent)).name] == ["start", "delta"]
        retry = asyncio.create_task(there.ask(**same))
        gate.open()
        assert (await retry)["text"] == ANSWER
    await world.check_books()


async def test_an_outage_of_valkey_in_mid_answer_leaves_no_gap_and_repeats_nothing(
    exposed_two: Two, gateway: FakeGateway, failing_valkey: EmbeddedValkey, world: World, person: Person
) -> None:
    gateway.reply = spoken = Dictation()
    here, there = exposed_two
    resends = Counts("product_relay_resends_total")
    async with here.streaming() as sent:
        start = await anext(sent)
        async with following(there, start.data["assistant_message_id"]) as elsewhere:
            heard = [await anext(elsewhere)]
            for outage in range(2):
                spoken.say(f"before {outage} ")
                while spoken.text != text_of(heard):
                    heard.append(await asyncio.wait_for(anext(elsewhere), 10))
                failing_valkey.stop()
                await until(is_down)
                spoken.say(f"during {outage} ")
                assert (await anext(sent)).data["text"]  # the reader here is not harmed
                failing_valkey.start()
                spoken.say(f"after {outage} ")
                while spoken.text != text_of(heard):
                    heard.append(await asyncio.wait_for(anext(elsewhere), 10))
            spoken.end()
            heard += [event async for event in elsewhere]
        told_here = [event async for event in sent][-1]
    assert text_of(heard) == spoken.text == (await world.answer(person))["text"]
    assert heard[-1] == told_here
    assert resends.risen()["product_relay_resends_total"] >= 1
    assert count("product_relay_down") == 0
    await world.check_books()


async def is_down() -> bool:
    """Whether a process here says that it does not hear the others."""
    return count("product_relay_down") == 1


async def test_an_end_that_comes_while_valkey_is_away_is_found_in_the_database(
    exposed_two: Two, gateway: FakeGateway, failing_valkey: EmbeddedValkey, world: World
) -> None:
    gateway.reply = spoken = Dictation()
    here, there = exposed_two
    async with here.streaming(**SAME) as sent:
        answer_id = (await anext(sent)).data["assistant_message_id"]
        async with following(there, answer_id) as elsewhere:
            spoken.say("Once ")
            heard = [await anext(elsewhere), await anext(elsewhere)]
            failing_valkey.stop()
            joining = asyncio.create_task(there.ask(**SAME))
            late = asyncio.create_task(follow(there, answer_id, heard[-1].id))
            spoken.say("upon a time.")
            spoken.end()
            told_here = [event async for event in sent][-1]
            heard += [event async for event in elsewhere]
            assert text_of(heard) == spoken.text == "Once " + text_of(await late)
            assert heard[-1] == told_here
            assert (await joining)["text"] == spoken.text
    await world.check_books()


async def test_what_cannot_be_reached_cannot_be_stopped(
    exposed_two: Two, gateway: FakeGateway, failing_valkey: EmbeddedValkey
) -> None:
    gateway.reply = Gate("Once ")
    here, there = exposed_two
    async with here.streaming() as sent:
        path = f"/v1/chat/{(await anext(sent)).data['assistant_message_id']}/stop"
        await anext(sent)
        failing_valkey.stop()
        assert error_of(await there.http.post(path)) == (409, "message_in_progress")
        assert (await here.http.post(path)).json()["status"] == "stopped"


async def test_readers_that_move_at_random_miss_nothing(
    exposed_two: Two, gateway: FakeGateway, failing_valkey: EmbeddedValkey, world: World, person: Person
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    rng = random.Random(seed)
    gateway.reply = spoken = Dictation()

    async def speak() -> None:
        for number in range(200):
            spoken.say(f"{number} " * rng.randint(1, 20))
            await asyncio.sleep(rng.uniform(0, 0.01))
        spoken.end()

    async def read(answer_id: str) -> list[Event]:
        heard: list[Event] = []
        while not heard or heard[-1].name != "final":
            after = heard[-1].id if heard else None
            async with following(rng.choice(exposed_two), answer_id, after) as events:
                async for event in events:
                    heard.append(event)
                    if rng.random() < 0.05:
                        break
        return heard

    async def disturb() -> None:
        for _ in range(2):
            await asyncio.sleep(rng.uniform(0.2, 0.8))
            failing_valkey.stop()
            await asyncio.sleep(rng.uniform(0, 0.3))
            failing_valkey.start()

    async with exposed_two.here.streaming() as sent, asyncio.timeout(30):
        answer_id = (await anext(sent)).data["assistant_message_id"]
        readers = [asyncio.create_task(read(answer_id)) for _ in range(6)]
        await asyncio.gather(speak(), disturb())
        for reader in readers:
            heard = await reader
            assert text_of(heard) == spoken.text == heard[-1].data["text"]
    assert (await world.answer(person))["text"] == spoken.text
    await world.check_books()
