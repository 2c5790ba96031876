"""Retries, stops and last readers that reach another product_api than the one that writes the answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.database.world import Person, World
from support.gateway.fake import ANSWER, FakeGateway, Gate
from support.processes.waiting import until
from support.product.app import Client, following
from support.product.relay import (
    Dictation,
    Two,
    clients_of,
    overhearing,
    two_products,
)

SAME = {"client_message_id": "same"}


@pytest_asyncio.fixture(scope="module")
async def hasty_urls(
    database_url: str, module_gateway: FakeGateway, valkey: EmbeddedValkey
) -> AsyncIterator[tuple[str, str]]:
    async with two_products(database_url, module_gateway.url, valkey, chat_resume_window_seconds=0.0) as urls:
        yield urls


@pytest_asyncio.fixture
async def hasty_two(hasty_urls: tuple[str, str], person: Person, gateway: FakeGateway) -> AsyncIterator[Two]:
    """Two products that end an answer once it has no reader."""
    del gateway  # it is reset
    async with clients_of(hasty_urls, person) as two:
        yield two


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
