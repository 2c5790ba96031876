"""Answers whose process is gone are given up; those that are being written are not."""

import asyncio
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

from support.database.world import Person, World
from support.gateway.fake import FakeGateway, Gate
from support.processes.waiting import until
from support.product.app import Client, client_of, served_product

_ABANDON = """
    WITH conversation AS (
        INSERT INTO conversations (id, company_id, user_id, title) VALUES ($1, $2, $3, 'left behind')
    ), asked AS (
        INSERT INTO messages (id, company_id, user_id, conversation_id, role, status, text, client_message_id)
        VALUES ($4::uuid, $2, $3, $1, 'user', 'completed', 'Hello', ($4::uuid)::text)
    ), answer AS (
        INSERT INTO messages (id, company_id, user_id, conversation_id, role, status, reply_to, lease_expires_at)
        VALUES ($5, $2, $3, $1, 'assistant', $6, $4, now() + make_interval(secs => $7))
    ), hold AS (
        INSERT INTO holds (id, company_id, message_id, amount_credits) VALUES ($5, $2, $4, 1.5)
    )
    UPDATE accounts SET held_credits = held_credits + 1.5 WHERE company_id = $2
"""


async def abandon(world: World, person: Person, *, status: str = "streaming", lease_seconds: float = -1) -> UUID:
    """Leave an answer as a process leaves it that is killed, and return its id."""
    answer_id = uuid4()
    await world.rows(
        _ABANDON, uuid4(), person.company_id, person.user_id, uuid4(), answer_id, status, float(lease_seconds)
    )
    return answer_id


async def status_of(world: World, answer_id: UUID) -> tuple[str, str | None]:
    row = await world.row("SELECT status, error_code FROM messages WHERE id = $1", answer_id)
    return row["status"], row["error_code"]


async def test_an_expired_lease_ends_the_answer_and_frees_its_hold(
    world: World, person: Person, client: Client, database_url: str, gateway: FakeGateway
) -> None:
    expired = [await abandon(world, person, status=status) for status in ("pending", "streaming")]
    alive = await abandon(world, person, lease_seconds=3600)
    async with served_product(database_url, gateway.url):

        async def are_given_up() -> bool:
            return [await status_of(world, each) for each in expired] == [("error", "interrupted")] * 2

        await until(are_given_up)
    assert await status_of(world, alive) == ("streaming", None)
    account = (await client.http.get("/v1/balance")).json()
    assert (account["balance_credits"], account["held_credits"]) == ("1000.000000", "1.500000")
    assert sorted(hold["state"] for hold in await world.holds(person)) == ["expired", "expired", "live"]
    rows = await world.messages(person)
    assert all(row["lease_expires_at"] is None for row in rows if row["id"] in expired)
    await world.check_books()


async def test_many_sweepers_free_each_hold_once(
    world: World, person: Person, database_url: str, gateway: FakeGateway
) -> None:
    answers = {await abandon(world, person) for _ in range(40)}
    async with AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(served_product(database_url, gateway.url))

        async def are_given_up() -> bool:
            rows = await world.messages(person)
            return [row["error_code"] for row in rows if row["id"] in answers] == ["interrupted"] * 40

        await until(are_given_up)
    account = await world.account(person)
    assert (account["balance_credits"], account["held_credits"]) == (1000, 0)
    assert [hold["state"] for hold in await world.holds(person)] == ["expired"] * 40
    await world.check_books()


async def test_a_running_answer_keeps_its_lease(
    world: World, person: Person, database_url: str, gateway: FakeGateway
) -> None:
    gateway.reply = gate = Gate("Once ")
    async with (
        served_product(database_url, gateway.url, chat_lease_seconds=0.6) as url,
        served_product(database_url, gateway.url, chat_lease_seconds=0.3),  # another process, whose sweeper looks
        client_of(url, person) as client,
    ):
        asking = asyncio.create_task(client.ask())
        await gateway.call()
        first = (await world.answer(person))["lease_expires_at"]

        async def was_renewed_thrice() -> bool:
            answer = await world.answer(person)
            assert answer["status"] in {"pending", "streaming"}
            return bool((answer["lease_expires_at"] - first).total_seconds() > 0.6)

        await until(was_renewed_thrice)
        assert (await world.answer(person))["status"] == "streaming"
        gate.open()
        assert (await asking)["status"] == "completed"
    await world.check_books()


async def test_an_answer_whose_right_was_lost_is_not_stored_nor_charged(
    world: World, person: Person, client: Client, database_url: str, gateway: FakeGateway
) -> None:
    gateway.reply = gate = Gate()
    asking = asyncio.create_task(client.send(client_message_id="same"))
    await gateway.call()
    # As a sweeper does that found the lease run out: the machine slept, say.
    await world.rows(
        "UPDATE messages SET lease_expires_at = now() - interval '1 second' WHERE user_id = $1 AND role = 'assistant'",
        person.user_id,
    )
    answer = await world.answer(person)
    async with served_product(database_url, gateway.url):

        async def is_given_up() -> bool:
            return await status_of(world, answer["id"]) == ("error", "interrupted")

        await until(is_given_up)
    gate.open()
    response = await asking
    assert response.status_code == 503
    assert response.json()["detail"]["code"] == "interrupted"
    assert len(await world.ledger(person)) == 1
    await world.check_books()
    assert (await client.ask(client_message_id="same"))["status"] == "completed"
    await world.check_books()
