"""Clients that leave before their answer is complete."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import pytest_asyncio

from b2b_chat.contract.schemas import Usage
from b2b_chat.product.credits.invariants import verify_ledger
from b2b_chat.product.credits.pricing import Prices
from support.database.world import Person, World
from support.gateway.fake import ANSWER, FakeGateway, Gate, answering
from support.processes.waiting import until
from support.product.app import Client, client_of, served_product

SAME = {"client_message_id": "same"}


@pytest_asyncio.fixture(scope="module")
async def product_url(database_url: str, module_gateway: FakeGateway) -> AsyncIterator[str]:
    """A product that ends a run once it has no reader."""
    async with served_product(database_url, module_gateway.url, chat_resume_window_seconds=0) as url:
        yield url


async def until_failed(world: World, person: Person, delivered: str = "") -> None:
    """Wait until the answer is given up, and see how: what was delivered is kept and paid for."""

    async def is_over() -> object:
        return (await world.answer(person))["status"] == "error"

    await until(is_over)
    answer = await world.answer(person)
    assert (answer["error_code"], answer["text"]) == ("client_disconnected", delivered)
    assert answer["lease_expires_at"] is None
    assert [hold["state"] for hold in await world.holds(person)] == ["posted" if delivered else "voided"]
    assert (await world.account(person))["held_credits"] == 0
    charges = [-entry["amount_credits"] for entry in await world.ledger(person) if entry["kind"] == "charge"]
    assert charges == ([answer["charged_credits"]] if delivered else [])
    assert all(charge > 0 for charge in charges)
    await world.check_books()


async def test_leaving_mid_stream(client: Client, gateway: FakeGateway, world: World, person: Person) -> None:
    gateway.reply = Gate("Once ")
    async with client.streaming(**SAME) as events:
        await anext(events)
        assert (await anext(events)).name == "delta"
    await until_failed(world, person, "Once ")
    await asyncio.wait_for(gateway.calls[0].left.wait(), 5)


async def test_leaving_before_the_first_word(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = Gate()
    async with client.streaming(**SAME) as events:
        await anext(events)
        await gateway.call()
    await until_failed(world, person)
    await asyncio.wait_for(gateway.calls[0].left.wait(), 5)


async def test_leaving_while_waiting_for_json(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = Gate()
    waiting = asyncio.create_task(client.send(**SAME))
    await gateway.call()
    waiting.cancel()
    await until_failed(world, person)
    await asyncio.wait_for(gateway.calls[0].left.wait(), 5)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_message_can_be_sent_again(
    client: Client, gateway: FakeGateway, world: World, person: Person, stream: bool
) -> None:
    gateway.reply = Gate("Once ")
    async with client.streaming(**SAME) as events:
        start = (await anext(events)).data
        await anext(events)
    await until_failed(world, person, "Once ")
    gateway.reply = answering()
    if stream:
        events_again = await client.stream(**SAME)
        assert (events_again[0].data, events_again[-1].data["text"]) == (start, ANSWER)
    else:
        answer = await client.ask(**SAME)
        assert {name: answer[name] for name in start} == start
    await world.check_books()


@pytest.mark.parametrize("later", [Usage(11, 70, 81), Usage(0, 1, 1)], ids=["dearer", "cheaper"])
async def test_attempts_together_cost_as_much_as_the_dearest(
    client: Client, gateway: FakeGateway, world: World, person: Person, later: Usage
) -> None:
    gateway.reply = Gate("Once ")
    async with client.streaming(**SAME) as events:
        await anext(events)
        await anext(events)
    await until_failed(world, person, "Once ")
    _, first = await world.ledger(person)
    gateway.reply = answering(usage=later)
    answer = await client.ask(**SAME)
    price = Prices(Decimal("0.2"), Decimal("1.6")).cost(later)
    more = price + first["amount_credits"]
    supplements = (await world.ledger(person))[2:]
    assert [entry["amount_credits"] for entry in supplements] == ([-more] if more > 0 else [])
    for entry in supplements:
        assert (entry["kind"], entry["message_id"]) == ("charge", None)
        assert entry["supplements_position"] == first["position"]
        assert entry["balance_after_credits"] == Decimal(answer["balance_credits"])
    charge = max(price, -first["amount_credits"])
    assert Decimal(answer["charge_credits"]) == charge
    assert Decimal(answer["balance_credits"]) == 1000 - charge
    assert (await world.answer(person))["charged_credits"] == charge
    assert await verify_ledger(world.database) == []
    await world.check_books()


async def test_sending_again_at_once_joins_no_dying_run(
    client: Client, gateway: FakeGateway, world: World, product_url: str, person: Person
) -> None:
    gateway.reply = gate = Gate("Once ")
    for _ in range(5):
        async with client_of(product_url, person) as leaving, leaving.streaming(**SAME) as events:
            assert [(await anext(events)).name, (await anext(events)).name] == ["start", "delta"]
    gate.open()
    assert (await client.ask(**SAME))["text"] == ANSWER
    await world.check_books()


async def test_many_leave_at_once(client: Client, gateway: FakeGateway, world: World, person: Person) -> None:
    gateway.reply = Gate("Once ")

    async def look_and_leave() -> None:
        async with client.streaming() as events:
            await anext(events)
            await anext(events)

    await asyncio.gather(*[look_and_leave() for _ in range(20)])

    async def all_over() -> bool:
        answers = [row for row in await world.messages(person) if row["role"] == "assistant"]
        return {answer["status"] for answer in answers} == {"error"} and len(answers) == 20

    await until(all_over)
    for call in gateway.calls:
        await asyncio.wait_for(call.left.wait(), 5)
    assert (await world.account(person))["held_credits"] == 0
    await world.check_books()


async def test_a_client_that_has_read_everything_may_disconnect_early(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = gate = Gate(ANSWER)
    async with client.streaming(**SAME) as events:
        await anext(events)
        gate.open()
        async for event in events:
            if event.name == "final":
                break
    assert (await world.answer(person))["status"] == "completed"
    assert len(await world.ledger(person)) == 2
    await world.check_books()
