"""Answers that are begun anew, read in another process than the one that writes them."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec import Struct

from b2b_chat.contract.errors import FAILURES
from b2b_chat.product.chat.relay.messages import Ended, encode
from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.database.world import Person, World
from support.gateway.fake import ANSWER, EVENTS_HEAD, Call, FakeGateway, Gate, delta, error_event, in_turn
from support.product.app import follow, following, text_of
from support.product.relay import Two, clients_of, two_products

SAME = {"client_message_id": "same"}
BEGUN = "Once, long ago"


class Breaking:
    """Begin an answer, and break it off when the test says so."""

    def __init__(self) -> None:
        self.now = asyncio.Event()

    async def __call__(self, call: Call) -> None:
        await call.send(EVENTS_HEAD)
        await call.send_chunk(delta(BEGUN))
        await self.now.wait()
        await call.send_chunk(error_event("upstream_failed", "primary"))


async def check_one_charge(world: World, person: Person) -> None:
    row = await world.answer(person)
    assert (row["status"], row["attempt"], row["text"]) == ("completed", 2, ANSWER)
    assert len(await world.ledger(person)) == 2
    await world.check_books()


async def test_readers_elsewhere_go_on_to_the_new_attempt(
    two: Two, gateway: FakeGateway, world: World, person: Person
) -> None:
    breaking, gate = Breaking(), Gate("Once")
    gateway.reply = in_turn(breaking, gate)
    async with two.here.streaming(restart=True, **SAME) as here:
        start = await anext(here)
        answer_id = start.data["assistant_message_id"]
        await anext(here)
        async with following(two.there, answer_id, restart=True) as there, following(two.there, answer_id) as plain:
            assert [(await anext(there)).name, (await anext(there)).data["text"]] == ["start", BEGUN]
            assert [(await anext(plain)).name, (await anext(plain)).data["text"]] == ["start", BEGUN]
            asking = asyncio.create_task(two.there.ask(**SAME))
            await asyncio.sleep(0.1)  # long enough for it to have joined
            breaking.now.set()
            assert [event.data["detail"]["code"] async for event in plain] == ["gateway_unavailable"]
            restarted = await anext(there)
            assert (restarted.name, restarted.data, restarted.id) == ("restart", {"attempt": 2}, "2-0")
            gate.open()
            assert text_of([event async for event in there]) == ANSWER
            assert (await asking)["text"] == ANSWER
        assert (await anext(here)).name == "restart"
    for after in (None, "1-4", "1-14-end"):
        assert text_of(await follow(two.there, answer_id, after, restart=True)) == ANSWER
    await check_one_charge(world, person)


async def test_a_reader_elsewhere_keeps_the_new_attempt_alive(
    database_url: str, gateway: FakeGateway, valkey: EmbeddedValkey, world: World, person: Person
) -> None:
    """Its process asks for the new attempt a moment after it has begun, and counts as a reader meanwhile."""
    breaking, gate = Breaking(), Gate("Once")
    gateway.reply = in_turn(breaking, gate)
    async with (
        two_products(database_url, gateway.url, valkey, chat_resume_window_seconds=0.0) as urls,
        clients_of(urls, person) as two,
        AsyncExitStack() as left,
    ):
        here = await left.enter_async_context(two.here.streaming())
        answer_id = (await anext(here)).data["assistant_message_id"]
        async with following(two.there, answer_id, restart=True) as there:
            assert [(await anext(there)).name, (await anext(there)).data["text"]] == ["start", BEGUN]
            await left.aclose()
            breaking.now.set()
            await gateway.call(2)
            await asyncio.sleep(0.5)  # longer than its process is waited for
            gate.open()
            assert [event async for event in there][-1].data["text"] == ANSWER
    await check_one_charge(world, person)


async def test_an_answer_is_stopped_from_elsewhere_after_it_began_anew(
    two: Two, gateway: FakeGateway, world: World, person: Person
) -> None:
    breaking = Breaking()
    gateway.reply = in_turn(breaking, Gate("Once"))
    async with two.here.streaming(restart=True) as here:
        answer_id = (await anext(here)).data["assistant_message_id"]
        breaking.now.set()
        while (await anext(here)).data.get("text") != "Once":
            pass
        stopped = (await two.there.http.post(f"/v1/chat/{answer_id}/stop")).json()
        assert (stopped["status"], stopped["text"]) == ("stopped", "Once")
        assert [event.data["status"] async for event in here] == ["stopped"]
    assert (await world.answer(person))["attempt"] == 2
    await world.check_books()


async def test_a_restart_that_nobody_told_of_is_found_in_the_database(
    two: Two, gateway: FakeGateway, world: World, person: Person
) -> None:
    """A mirror of an attempt that is over asks its process in vain, and then the database."""
    breaking, gate = Breaking(), Gate("Once")
    gateway.reply = in_turn(breaking, gate)
    async with two.here.streaming(restart=True) as here:
        answer_id = (await anext(here)).data["assistant_message_id"]
        await anext(here)
        breaking.now.set()
        while (await anext(here)).data.get("text") != "Once":
            pass
        # As if `there` had read the row just before: it mirrors the first attempt, which nobody writes any more.
        await world.rows("UPDATE messages SET attempt = 1 WHERE id = $1", UUID(answer_id))
        reading = asyncio.create_task(follow(two.there, answer_id, "1-4", restart=True))
        await asyncio.sleep(0.1)
        await world.rows("UPDATE messages SET attempt = 2 WHERE id = $1", UUID(answer_id))
        await asyncio.sleep(0.5)
        gate.open()
        read = await reading
    assert [event.name for event in read if event.name != "delta"] == ["restart", "final"]
    assert text_of(read) == ANSWER
    await check_one_charge(world, person)


class EndedBefore(Struct, frozen=True, array_like=True, tag="ended"):
    """`Ended` as the release before knows it."""

    follow: int
    position: int
    outcome: Any


@pytest.mark.parametrize("next_attempt", [None, 2])
def test_the_release_before_reads_the_end_of_an_attempt(next_attempt: int | None) -> None:
    """To its readers an attempt that is followed by another has failed."""
    message = encode(Ended(7, 120, FAILURES["upstream_truncated"].code, next_attempt))
    assert msgspec.msgpack.decode(message, type=EndedBefore) == EndedBefore(7, 120, "upstream_truncated")


def test_the_end_of_an_attempt_by_the_release_before_is_read() -> None:
    old = msgspec.msgpack.encode(EndedBefore(7, 120, "answer_cut"))
    assert msgspec.msgpack.decode(old, type=Ended) == Ended(7, 120, "answer_cut", None)
