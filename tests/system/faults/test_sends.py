"""One message, sent in every unfortunate way, is answered and charged once."""

import asyncio
import random
import signal

import asyncpg
import pytest

from b2b_chat.kit.database import Database
from b2b_chat.product.chat.repository import RunRepository
from b2b_chat.product.chat.sweeper import sweep
from support.database.world import World
from support.faults.stack import LEASE_SECONDS, FaultStack
from support.faults.witness import Reply, Witness
from support.network.protocols import StatementTrap
from support.processes.waiting import until
from support.product.app import product_settings

GIVING_UP = "error_code = $4"
"""In the statement that fails an answer."""

OPENING_AGAIN = "attempt = attempt + 1"
"""In the statement that opens a failed answer for another attempt."""

ENDLESS = "Hello [[simulate: key={key}; fail_times=1; tokens=100; stall_after=5]]"


async def _begun(witness: Witness, stack: FaultStack, rng: random.Random) -> asyncio.Task[Reply]:
    """A message whose answer has begun and does not go on."""
    person = await witness.world.person()
    text = ENDLESS.format(key=rng.getrandbits(64))
    sending = asyncio.create_task(witness.send(person, text, stream=True))
    await until(lambda: _is_acknowledged(witness))
    await until(stack.calls_seen_by_upstream)
    return sending


async def _is_acknowledged(witness: Witness) -> bool:
    return any(sent.ids for sent in witness.sent.values())


async def test_a_hundred_identical_sends_at_once(witness: Witness, stack: FaultStack) -> None:
    person = await witness.world.person()
    replies = await asyncio.gather(*[witness.send(person, client_message_id="same") for _ in range(100)])
    assert {reply.status for reply in replies} == {200}
    assert all(reply.is_answered for reply in replies)
    assert len(await witness.world.messages(person)) == 2
    assert len(await stack.calls_seen_by_upstream()) == 1


async def test_the_same_id_with_other_bodies_at_once(witness: Witness, rng: random.Random) -> None:
    person = await witness.world.person()
    first = await witness.send(person, "text 0", client_message_id="same")
    assert first.sent is not None
    others = [{**first.sent.body, "text": f"text {number}", "stream": rng.random() < 0.5} for number in range(1, 20)]
    replies = await asyncio.gather(*[witness.send_again(first.sent, body) for body in others])
    assert {(reply.status, reply.code) for reply in replies} == {(409, "idempotency_conflict")}
    assert len(await witness.world.messages(person)) == 2


async def test_of_many_texts_under_one_new_id_one_is_taken(witness: Witness, stack: FaultStack) -> None:
    person = await witness.world.person()
    sending = [witness.send(person, f"text {number}", client_message_id="new") for number in range(20)]
    replies = await asyncio.gather(*sending)
    taken = [reply for reply in replies if reply.is_answered]
    assert len(taken) == 1
    assert {reply.code for reply in replies if not reply.is_answered} == {"idempotency_conflict"}
    assert len(await stack.calls_seen_by_upstream()) == 1
    # What a client means by this id is the text that was taken.
    (stored, _) = await witness.world.messages(person)
    witness.sent[person.user_id, "new"].body["text"] = stored["text"]


async def test_of_many_messages_to_one_conversation_one_is_taken_at_a_time(witness: Witness, stack: FaultStack) -> None:
    person = await witness.world.person()
    first = await witness.send(person, stream=False)
    assert first.answer is not None
    thread = first.answer["conversation_id"]
    text = "Next [[simulate: tokens=20; tps=20]]"
    replies = await asyncio.gather(*[witness.send(person, text, conversation_id=thread) for _ in range(20)])
    assert [reply.is_answered for reply in replies].count(True) == 1
    assert {reply.code for reply in replies if not reply.is_answered} == {"conversation_busy"}
    assert len(await stack.calls_seen_by_upstream()) == 2


async def test_a_failed_message_is_tried_again_once_however_many_ask(witness: Witness, stack: FaultStack) -> None:
    """By two processes, which know nothing of each other's runs."""
    other = stack.new_product(stack.spare_port)
    await other.start()
    person = await witness.world.person()
    failed = await witness.send(person, "Hello [[simulate: key=many; fail_times=1; status=400]]", stream=False)
    assert failed.code == "message_rejected"
    sent = failed.sent
    assert sent is not None
    replies = await asyncio.gather(*[witness.send_again(sent, at=at) for at in [other.url, ""] * 15])
    other.kill()
    # A client that joined a refused attempt, because the other process was first, is asked to retry.
    assert {reply.code for reply in replies if not reply.is_answered} <= {"message_in_progress", "interrupted"}
    assert any(reply.is_answered for reply in replies)
    await witness.answer(sent)
    assert len(await stack.calls_seen_by_upstream()) == 2


async def test_two_processes_try_a_failed_message_again_at_the_same_moment(witness: Witness, stack: FaultStack) -> None:
    """Both have seen that it failed. One has the account and is about to open the answer, the other waits for it."""
    other = stack.new_product(stack.spare_port)
    await other.start()
    person = await witness.world.person()
    failed = await witness.send(person, "Hello [[simulate: key=two; fail_times=1; status=400]]", stream=False)
    sent = failed.sent
    assert sent is not None
    trap = stack.statements.trap = StatementTrap(OPENING_AGAIN, after=False)
    first = asyncio.create_task(witness.send_again(sent))
    async with asyncio.timeout(20):
        await trap.sprung.wait()
    second = asyncio.create_task(witness.send_again(sent, at=other.url))
    await until(lambda: _somebody_waits(witness.world))
    trap.release(cut=False)
    assert (await first).is_answered
    # It is asked to retry later, or, if the first is done by then, gets the same answer.
    later = await second
    assert later.is_answered or later.code == "message_in_progress"
    (answer,) = [message for message in await witness.world.messages(person) if message["role"] == "assistant"]
    assert (answer["status"], answer["attempt"]) == ("completed", 2)


async def _somebody_waits(world: World) -> bool:
    rows = await world.rows("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = 'faults'")
    return bool(rows)


async def test_the_last_credits_are_spent_once(witness: Witness) -> None:
    person = await witness.world.person(balance="1.000000")
    replies = await asyncio.gather(*[witness.send(person, "Hello [[simulate: tokens=60]]") for _ in range(40)])
    assert {reply.code for reply in replies if not reply.is_answered} <= {"insufficient_credits", "credits_held"}
    assert any(reply.is_answered for reply in replies)
    assert any(not reply.is_answered for reply in replies)
    # Alone, each finds credits until they are used up: then none are held that could come back.
    codes = [(await witness.send(person, "Hello [[simulate: tokens=60]]")).code for _ in range(15)]
    assert codes[-1] == "insufficient_credits"
    assert set(codes) <= {None, "insufficient_credits"}


async def test_stops_at_once_and_after_the_end(witness: Witness, stack: FaultStack, rng: random.Random) -> None:
    sending = await _begun(witness, stack, rng)
    (sent,) = witness.sent.values()
    stopped = await asyncio.gather(*[witness.stop(sent) for _ in range(10)])
    assert {reply.status for reply in stopped} == {200}
    reply = await sending
    assert reply.answer is not None
    assert reply.answer["status"] == "stopped"
    assert [again.answer for again in stopped] == [(await witness.stop(sent)).answer] * 10
    gone = [call["outcome"] for call in await stack.calls_seen_by_upstream()]
    assert gone == ["client_gone"]


async def test_sweepers_race_for_the_answers_of_a_killed_product(
    witness: Witness, stack: FaultStack, rng: random.Random
) -> None:
    people = [await witness.world.person() for _ in range(4)]
    texts = [ENDLESS.format(key=rng.getrandbits(64)) for _ in range(20)]
    sending = [asyncio.create_task(witness.send(rng.choice(people), text, stream=True)) for text in texts]
    await until(lambda: _are_live(witness.world, 20))
    stack.product.kill()
    await asyncio.gather(*sending)
    other = stack.new_product(stack.spare_port)
    other.launch()
    stack.product.launch()
    database = Database(stack.postgres.url, pool_size=8, session_pool_size=1, acquire_seconds=9, statement_seconds=9)
    await database.open()
    repository = RunRepository(database, product_settings(chat_lease_seconds=LEASE_SECONDS))
    given_up = 0
    try:
        async with asyncio.timeout(60):
            while not await _are_live(witness.world, 0):
                given_up += sum(await asyncio.gather(*[sweep(repository) for _ in range(8)]))
                await asyncio.sleep(rng.uniform(0, 0.2))
    finally:
        await database.close()
        await other.wait_until_healthy()
        other.kill()
    await stack.product.wait_until_healthy()
    assert given_up <= 20
    states = await witness.world.rows(
        "SELECT state, count(*) AS n FROM holds WHERE company_id = ANY($1) GROUP BY state",
        [person.company_id for person in people],
    )
    assert states == [{"state": "expired", "n": 20}]
    await witness.answer_all()


async def _are_live(world: World, number: int) -> bool:
    live = "SELECT count(*) AS n FROM messages WHERE status IN ('pending', 'streaming')"
    return bool((await world.row(live))["n"] == number)


async def test_a_product_that_stood_still_beyond_its_lease_does_not_settle(
    witness: Witness, stack: FaultStack, rng: random.Random
) -> None:
    """Another process gave the answer up; when the first wakes, the answer it has got is not its to store."""
    person = await witness.world.person()
    text = f"Hello [[simulate: key={rng.getrandbits(64)}; tokens=30; tps=20]]"
    sending = asyncio.create_task(witness.send(person, text, stream=True))
    await until(lambda: _is_acknowledged(witness))
    await until(stack.calls_seen_by_upstream)
    stack.product.signal(signal.SIGSTOP)
    other = stack.new_product(stack.spare_port)
    await other.start()
    await until(lambda: _are_live(witness.world, 0), timeout_seconds=30)
    stack.product.signal(signal.SIGCONT)
    reply = await sending
    assert reply.code == "interrupted"
    other.kill()
    messages = await witness.world.messages(person)
    assert [message["status"] for message in messages] == ["completed", "error"]
    await witness.answer_all()


async def test_a_sweeper_that_comes_late_leaves_a_stored_answer_alone(
    witness: Witness, stack: FaultStack, rng: random.Random
) -> None:
    """It saw the lease run out; before it can give the answer up, the process that stood still has stored it."""
    person = await witness.world.person()
    text = f"Hello [[simulate: key={rng.getrandbits(64)}; tokens=30; tps=20]]"
    sending = asyncio.create_task(witness.send(person, text, stream=True))
    await until(lambda: _is_acknowledged(witness))
    await until(stack.calls_seen_by_upstream)
    stack.product.signal(signal.SIGSTOP)
    trap = stack.statements.trap = StatementTrap(GIVING_UP, after=False)
    other = stack.new_product(stack.spare_port, DATABASE_STATEMENT_TIMEOUT_SECONDS="30")
    await other.start()
    async with asyncio.timeout(30):
        await trap.sprung.wait()
    stack.product.signal(signal.SIGCONT)
    reply = await sending
    assert reply.is_answered
    trap.release(cut=False)
    await asyncio.sleep(1)
    other.kill()
    messages = await witness.world.messages(person)
    assert [message["status"] for message in messages] == ["completed", "completed"]


async def test_the_database_itself_refuses_wrong_books(witness: Witness) -> None:
    """Should all our code be wrong: no second charge, no balance below what is held, no change of the ledger."""
    person = await witness.world.person()
    sent = (await witness.send(person)).sent
    assert sent is not None
    assert sent.ids is not None
    world = witness.world
    with pytest.raises(asyncpg.UniqueViolationError):
        await world.rows(
            "INSERT INTO ledger (company_id, position, kind, amount_credits, balance_after_credits, message_id) "
            "SELECT company_id, position + 1, kind, 0, balance_after_credits, message_id FROM ledger "
            "WHERE message_id = $1::uuid",
            sent.ids.user_message_id,
        )
    for change in ("balance_credits = -1", "held_credits = balance_credits + 1", "held_credits = -1"):
        with pytest.raises(asyncpg.CheckViolationError):
            await world.rows(f"UPDATE accounts SET {change} WHERE company_id = $1", person.company_id)  # noqa: S608 - ours
    for change in ("UPDATE ledger SET amount_credits = 1", "DELETE FROM ledger", "TRUNCATE ledger"):
        with pytest.raises(asyncpg.RestrictViolationError):
            await world.rows(change)
