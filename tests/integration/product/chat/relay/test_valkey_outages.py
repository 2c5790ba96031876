"""A Valkey that stops and comes back while one product_api relays an answer to another."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.database.world import Person, World
from support.gateway.fake import FakeGateway, Gate
from support.processes.waiting import until
from support.product.app import Event, error_of, follow, following, text_of
from support.product.relay import (
    Dictation,
    Two,
    clients_of,
    running_valkey,
    two_products,
)
from support.telemetry.counts import Counts, count

SAME = {"client_message_id": "same"}


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
    del gateway  # it is reset
    await asyncio.to_thread(failing_valkey.stop)
    await asyncio.to_thread(failing_valkey.start)
    async with clients_of(exposed_urls, person) as two:
        yield two


async def test_an_outage_of_valkey_mid_answer_leaves_no_gap_and_repeats_nothing(
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
    """Whether a process reports that it cannot receive from the others."""
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


async def test_an_unreachable_answer_cannot_be_stopped(
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
