"""An answer that breaks off is begun anew by itself, at the other upstream where there is one, and paid for once."""

import asyncio
from typing import Any, Final
from uuid import uuid4

from support.faults.processes import Part
from support.faults.stack import FaultStack
from support.faults.witness import Reply, Witness
from support.processes.waiting import until

FAULTS: Final = {
    "cut": ("cut_after=5", "answer_cut"),
    "reset": ("reset_after=5", "answer_cut"),
    "malformed": ("malformed_after=5", "answer_cut"),
    "an error": ("error_after=5; error=server_error", "gateway_unavailable"),
    "stall": ("stall_after=5", "gateway_timeout"),
}
GATEWAY: Final = {"UPSTREAM_BREAKER_FAILURES": "1000", "SHUTDOWN_GRACE_SECONDS": "30"}


def failing(fault: str, times: int = 1) -> tuple[str, str, str]:
    """A message whose first attempts at each upstream break off, its key, and the code for that."""
    key = f"restart-{uuid4().hex}"
    directive, code = FAULTS[fault]
    return f"Hello [[simulate: key={key}; tps=60; tokens=12; fail_times={times}; {directive}]]", key, code


async def calls(stack: FaultStack, second: Part, key: str) -> tuple[int, int]:
    """How often each upstream was asked for a message."""
    first = [call for call in await stack.calls_seen_by_upstream() if call["key"] == key]
    other = [call for call in await stack.calls_seen_by_upstream(second) if call["key"] == key]
    return len(first), len(other)


async def check_books(witness: Witness, reply: Reply, attempts: int) -> None:
    assert reply.sent is not None
    assert reply.sent.ids is not None
    row = await witness.world.row(
        "SELECT status, attempt, (SELECT count(*) FROM ledger WHERE message_id = reply_to) AS charges, "
        "(SELECT count(*) FROM holds WHERE message_id = reply_to) AS holds "
        "FROM messages WHERE id = $1::uuid",
        reply.sent.ids.assistant_message_id,
    )
    assert row == {"status": "completed", "attempt": attempts, "charges": 1, "holds": 1}


def read_whole(reply: Reply) -> bool:
    return reply.answer is not None and reply.text == reply.answer["text"]


async def test_the_upstreams_mend_each_others_faults(witness: Witness, stack: FaultStack) -> None:
    """Each breaks off once: the attempts go to the first, the second, and the first."""

    async def case(fault: str) -> None:
        text, key, _ = failing(fault)
        reply = await witness.send(await witness.world.person(), text, stream=True, restart=True)
        assert read_whole(reply), fault
        assert reply.events.count("restart") == 2, fault
        assert await calls(stack, second, key) == (2, 1), fault
        await check_books(witness, reply, attempts=3)

    async with stack.with_fallback(**GATEWAY) as second:
        await asyncio.gather(*map(case, FAULTS))


async def test_a_plain_reader_gets_the_error_and_then_the_answer(witness: Witness, stack: FaultStack) -> None:
    async def case(fault: str) -> None:
        text, key, code = failing(fault)
        reply = await witness.send(await witness.world.person(), text, stream=True)
        assert (reply.code, reply.events[-1], "restart" in reply.events) == (code, "error", False), fault
        assert reply.sent is not None
        while not (fetched := await witness.send_again(reply.sent)).is_answered:
            assert fetched.events[-1] == "error", "it has joined an attempt that broke off as well"
        assert read_whole(fetched), fault
        assert await calls(stack, second, key) == (2, 1), fault
        await check_books(witness, fetched, attempts=3)

    async with stack.with_fallback(**GATEWAY) as second:
        await asyncio.gather(*map(case, FAULTS))


async def test_a_caller_of_json_just_gets_the_answer(witness: Witness, stack: FaultStack) -> None:
    """One that asks for itself, and one that joins an answer that another request has streamed."""

    async def case(fault: str) -> None:
        person = await witness.world.person()
        text, _, _ = failing(fault)
        # Whole answers have no middle: the gateway itself asks again, save after silence.
        alone = await witness.send(person, text, stream=False)
        assert alone.is_answered or alone.code == "gateway_timeout", fault
        text, key, _ = failing(fault)
        streaming = asyncio.create_task(witness.send(person, text, stream=True, restart=True, client_message_id=key))

        async def is_acknowledged() -> bool:
            return (person.user_id, key) in witness.sent and witness.sent[person.user_id, key].ids is not None

        await until(is_acknowledged)
        sent = witness.sent[person.user_id, key]
        joined = await witness.send_again(sent, sent.body | {"stream": False})
        assert joined.is_answered, fault
        assert read_whole(await streaming), fault
        assert await calls(stack, second, key) == (2, 1), fault
        await check_books(witness, joined, attempts=3)

    async with stack.with_fallback(**GATEWAY) as second:
        await asyncio.gather(*map(case, FAULTS))
        await witness.answer_all()


async def test_a_reader_that_comes_back_goes_on_over_the_restart(witness: Witness, stack: FaultStack) -> None:
    """It leaves with the first attempt, and follows from there with `restart` until it has the answer."""

    async def case(fault: str) -> None:
        text, key, _ = failing(fault)
        plain = await witness.send(await witness.world.person(), text, stream=True)
        assert plain.sent is not None
        followed = await witness.follow(plain.sent, plain.last_event_id, restart=True)
        assert followed.events[0] == "restart", fault
        assert read_whole(followed), fault
        assert await calls(stack, second, key) == (2, 1), fault
        await check_books(witness, followed, attempts=3)

    async with stack.with_fallback(**GATEWAY) as second:
        await asyncio.gather(*map(case, FAULTS))


async def test_without_a_second_the_same_is_asked_again(witness: Witness) -> None:
    person = await witness.world.person()
    cases = [failing(fault) for fault in FAULTS]
    replies = await asyncio.gather(*[witness.send(person, text, stream=True, restart=True) for text, _, _ in cases])
    for reply in replies:
        assert read_whole(reply)
        await check_books(witness, reply, attempts=reply.events.count("restart") + 1)


async def test_a_gateway_that_is_killed_in_mid_answer_costs_nobody_the_answer(
    witness: Witness, stack: FaultStack
) -> None:
    """Its successor is waited for, and the answers are begun anew."""
    people = [await witness.world.person() for _ in range(4)]
    message: dict[str, Any] = {"text": "Hello [[simulate: tokens=90; tps=30]]", "stream": True, "restart": True}
    sending = [asyncio.create_task(witness.send(person, **message)) for person in people]

    async def have_all_begun() -> bool:
        return len(await stack.calls_seen_by_upstream()) >= len(people)

    await until(have_all_begun)
    await asyncio.sleep(0.5)  # some words later
    stack.gateway.kill()
    await stack.gateway.start()
    replies = await asyncio.gather(*sending)
    assert all(read_whole(reply) for reply in replies)
    assert all(reply.events.count("restart") == 1 for reply in replies)
    for reply in replies:
        await check_books(witness, reply, attempts=2)


async def test_a_product_that_is_killed_in_the_second_attempt_leaves_it_to_the_sweeper(
    witness: Witness, stack: FaultStack
) -> None:
    person = await witness.world.person()
    key = f"restart-{uuid4().hex}"
    text = f"Hello [[simulate: key={key}; tps=20; tokens=200; fail_times=1; cut_after=5]]"
    sending = asyncio.create_task(witness.send(person, text, stream=True, restart=True))

    async def has_begun_anew() -> bool:
        return len([call for call in await stack.calls_seen_by_upstream() if call["key"] == key]) >= 2

    await until(has_begun_anew)
    stack.product.kill()
    await sending
    await stack.product.start()
    await witness.answer_all()
