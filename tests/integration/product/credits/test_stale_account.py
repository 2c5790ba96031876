"""A hold is computed from the account as it is once it is locked, whatever the statement's snapshot had shown."""

import asyncio
from decimal import Decimal

import pytest

from support.database.world import Person, World
from support.gateway.fake import FakeGateway, answering
from support.product.app import Client, client_of, error_of

WAITS_FOR_A_LOCK = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

# Balance and holds as the message's statement first sees them, and as another transaction leaves them meanwhile.
MOVES = {
    "an answer is settled": (("10", "8"), ("9.9", "0")),
    "an answer fails": (("10", "10"), ("10", "0")),
    "all but little is freed": (("7", "6.9"), ("6.95", "0.1")),
    "credits are taken away": (("10", "3"), ("4", "3")),
    "credits are added": (("3", "3"), ("30", "3")),
}


async def until_waiting(world: World) -> None:
    """Return once a statement waits for the account."""
    async with asyncio.timeout(10):
        while not await world.rows(WAITS_FOR_A_LOCK):  # noqa: ASYNC110 - it waits in the server
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_message_that_waits_for_the_account_sees_what_came_of_it(
    product_url: str, gateway: FakeGateway, world: World, move: str, stream: bool
) -> None:
    before, after = MOVES[move]
    person = await world.person(balance="1")
    gateway.reply = answering()
    await set_account(world, person, *before)
    async with client_of(product_url, person) as client:
        async with world.database.connection() as other, other.transaction():
            await other.execute(SET, person.company_id, *map(Decimal, after))
            asking = asyncio.create_task(final_of(client, stream=stream))
            await until_waiting(world)
        answer = await asking
    account = await world.account(person)
    assert account["held_credits"] == Decimal(after[1])
    assert account["balance_credits"] == Decimal(after[0]) - Decimal(answer["charge_credits"])


async def test_one_that_finds_too_little_left_is_refused(product_url: str, world: World) -> None:
    person = await world.person(balance="1")
    await set_account(world, person, "10", "0")
    async with client_of(product_url, person) as client:
        async with world.database.connection() as other, other.transaction():
            await other.execute(SET, person.company_id, Decimal(10), Decimal("9.9"))
            asking = asyncio.create_task(client.send())
            await until_waiting(world)
        assert error_of(await asking) == (402, "credits_held")
    assert await world.messages(person) == []


SET = "UPDATE accounts SET balance_credits = $2, held_credits = $3 WHERE company_id = $1"


async def set_account(world: World, person: Person, balance: str, held: str) -> None:
    await world.rows(SET, person.company_id, Decimal(balance), Decimal(held))


async def final_of(client: Client, *, stream: bool) -> dict[str, str]:
    """Send a message and return its whole answer."""
    return (await client.stream())[-1].data if stream else await client.ask()
