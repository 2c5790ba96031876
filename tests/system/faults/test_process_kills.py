"""A process is killed at the worst moments of a message's life."""

import asyncio
import random

import pytest

from support.database.world import World
from support.faults.stack import FaultStack
from support.faults.witness import Reply, Witness
from support.network.protocols import StatementTrap
from support.processes.waiting import until

ADMISSION = "INSERT INTO holds"
SETTLEMENT = "INSERT INTO ledger"


async def _killed_at(witness: Witness, stack: FaultStack, trap: StatementTrap, *, stream: bool) -> Reply:
    """Kill the product when one of its statements is in the trap, and start it again."""
    person = await witness.world.person()
    stack.statements.trap = trap
    sending = asyncio.create_task(witness.send(person, stream=stream))
    async with asyncio.timeout(20):
        await trap.sprung.wait()
    if trap.after:
        await until(lambda: _is_done(witness.world, trap))
    stack.product.kill()
    trap.release(cut=True)
    reply = await sending
    await stack.product.start()
    return reply


async def _is_done(world: World, trap: StatementTrap) -> bool:
    """Whether PostgreSQL has carried out the trapped statement, whose reply is held back."""
    table = trap.marker.split()[-1]
    recent = await world.row(f"SELECT count(*) AS n FROM {table} WHERE created_at > now() - interval '1 minute'")  # noqa: S608 - ours
    return bool(recent["n"])


@pytest.mark.parametrize("stream", [False, True])
async def test_product_killed_before_the_admission_is_committed(
    witness: Witness, stack: FaultStack, *, stream: bool
) -> None:
    reply = await _killed_at(witness, stack, StatementTrap(ADMISSION, after=False), stream=stream)
    assert reply.status is None
    assert reply.sent is not None
    messages = await witness.world.messages(reply.sent.person)
    assert messages == [], "a message that was never admitted is there"
    await witness.answer_all()
    assert len(await witness.world.messages(reply.sent.person)) == 2


async def test_product_killed_after_the_hold_and_before_the_call(witness: Witness, stack: FaultStack) -> None:
    reply = await _killed_at(witness, stack, StatementTrap(ADMISSION, after=True), stream=True)
    assert reply.sent is not None
    holds = await witness.world.holds(reply.sent.person)
    assert len(holds) == 1
    assert await stack.calls_seen_by_upstream() == []
    await witness.answer_all()
    states = [hold["state"] for hold in await witness.world.holds(reply.sent.person)]
    assert states == ["expired", "posted"]


@pytest.mark.parametrize("stream", [False, True])
async def test_product_killed_after_dispatch(
    witness: Witness, stack: FaultStack, rng: random.Random, *, stream: bool
) -> None:
    person = await witness.world.person()
    text = f"Hello [[simulate: key={rng.getrandbits(64)}; fail_times=1; stall_after={rng.randint(0, 20)}]]"
    sending = asyncio.create_task(witness.send(person, text, stream=stream))
    await until(stack.calls_seen_by_upstream)
    await asyncio.sleep(rng.uniform(0, 0.3))
    stack.product.kill()
    assert not (await sending).is_answered
    await stack.product.start()
    await witness.answer_all()
    assert len(await stack.calls_seen_by_upstream()) == 2
    charges = [entry for entry in await witness.world.ledger(person) if entry["kind"] == "charge"]
    assert len(charges) == 1


@pytest.mark.parametrize("after", [False, True])
async def test_product_killed_between_the_answer_and_the_client(
    witness: Witness, stack: FaultStack, *, after: bool
) -> None:
    """The model has answered; PostgreSQL has stored it, or not yet; the client has received nothing of it."""
    reply = await _killed_at(witness, stack, StatementTrap(SETTLEMENT, after=after), stream=True)
    assert not reply.is_answered
    calls = len(await stack.calls_seen_by_upstream())
    await witness.answer_all()
    # What the product has stored it returns; what it has not the gateway still has.
    assert len(await stack.calls_seen_by_upstream()) == calls


async def test_gateway_killed_mid_answer(witness: Witness, stack: FaultStack, rng: random.Random) -> None:
    people = [await witness.world.person() for _ in range(4)]
    text = "Hello [[simulate: tokens=200; tps=60]]"
    sending = [asyncio.create_task(witness.send(person, text)) for person in people]
    await until(stack.calls_seen_by_upstream)
    await asyncio.sleep(rng.uniform(0.2, 1.5))
    stack.gateway.kill()
    replies = [await task for task in sending]
    assert {reply.code for reply in replies} <= {"answer_cut", "gateway_unavailable"}
    await stack.gateway.start()
    await witness.answer_all()


async def test_all_killed_under_load(witness: Witness, stack: FaultStack, rng: random.Random) -> None:
    people = [await witness.world.person() for _ in range(3)]
    sending = [asyncio.create_task(witness.send(rng.choice(people))) for _ in range(30)]
    await asyncio.sleep(rng.uniform(0.05, 0.5))
    for part in rng.sample([stack.product, stack.gateway], 2):
        part.kill()
    await asyncio.gather(*sending)
    await stack.heal()
    await witness.answer_all()
