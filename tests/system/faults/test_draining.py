"""SIGTERM under load: what runs may end, what comes is sent elsewhere, and nothing stays half done."""

import asyncio
import random

from support.faults.stack import FaultStack
from support.faults.witness import Reply, Witness
from support.processes.waiting import until

SHORT = "Hello [[simulate: tokens=40; tps=60]]"
"""Less than a second, and the grace is two."""
LONG = "Hello [[simulate: key={key}; fail_times=1; tokens=20; stall_after=10]]"
"""Falls silent for longer than the grace, but not for so long that the gateway gives up; answered the second time."""


async def _under_load(witness: Witness, stack: FaultStack, rng: random.Random) -> list[asyncio.Task[Reply]]:
    people = [await witness.world.person() for _ in range(4)]
    texts = [SHORT] * 6 + [LONG.format(key=rng.getrandbits(64)) for _ in range(3)]
    sending = [asyncio.create_task(witness.send(rng.choice(people), text, stream=True)) for text in texts]
    await until(lambda: _calls(stack, len(texts)))
    return sending


async def _calls(stack: FaultStack, number: int) -> bool:
    return len(await stack.calls_seen_by_upstream()) >= number


async def test_sigterm_to_the_product(witness: Witness, stack: FaultStack, rng: random.Random) -> None:
    sending = await _under_load(witness, stack, rng)
    stack.product.ask_to_end()
    await asyncio.sleep(0.2)
    late = await witness.send(await witness.world.person())
    assert (late.status, late.code) == (503, "shutting_down")
    replies = await asyncio.gather(*sending)
    assert [reply.code for reply in replies] == [None] * 6 + ["interrupted"] * 3
    await stack.product.ended()
    live = await witness.world.rows("SELECT * FROM messages WHERE status IN ('pending', 'streaming')")
    assert live == [], "it ended and left an answer to the sweeper"
    await stack.product.start()
    await witness.answer_all()


async def test_sigterm_to_the_gateway(witness: Witness, stack: FaultStack, rng: random.Random) -> None:
    sending = await _under_load(witness, stack, rng)
    stack.gateway.ask_to_end()
    await asyncio.sleep(0.2)
    late = await witness.send(await witness.world.person())
    assert late.code == "gateway_unavailable"
    replies = await asyncio.gather(*sending)
    assert [reply.code for reply in replies[:6]] == [None] * 6
    assert {reply.code for reply in replies[6:]} <= {"gateway_unavailable", "answer_cut", "gateway_timeout"}
    await stack.gateway.ended()
    await stack.gateway.start()
    await witness.answer_all()
