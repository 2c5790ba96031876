"""Paying for answers: the last credits, an empty balance, and holds."""

import asyncio
from decimal import Decimal

import pytest

from b2b_chat.contract.schemas import Usage
from support.database.world import Person, World
from support.gateway.fake import FakeGateway, Gate, answering, refusing
from support.product.app import Client, client_of, error_of


async def test_without_credits_nothing_is_sent_and_nothing_stored(
    product_url: str, gateway: FakeGateway, world: World
) -> None:
    person = await world.person(balance="0")
    async with client_of(product_url, person) as client:
        assert error_of(await client.send()) == (402, "insufficient_credits")
        assert error_of(await client.send(stream=True)) == (402, "insufficient_credits")
        assert (await client.http.get("/v1/conversations")).json() == {"items": [], "next_cursor": None}
    assert gateway.calls == []
    assert await world.messages(person) == []
    assert await world.holds(person) == []
    await world.check_books()


async def test_a_refused_message_may_be_sent_again_once_there_are_credits(
    product_url: str, gateway: FakeGateway, world: World
) -> None:
    person = await world.person(balance="0")
    async with client_of(product_url, person) as client:
        await client.send(client_message_id="same")
        await world.top_up(person.company_id, "1")
        assert (await client.ask(client_message_id="same"))["status"] == "completed"
    assert len(gateway.calls) == 1


# The shortest useful answer has 256 tokens, at 1.6 credits for a thousand; a prompt of "Hello" has 8, at 0.2.
LEAST = Decimal("0.4096") + Decimal("0.0016")


@pytest.mark.parametrize("balance", ["0.000001", "0.01", "0.4096", "0.411199"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_balance_that_pays_for_no_useful_answer_is_refused(
    product_url: str, gateway: FakeGateway, world: World, balance: str, stream: bool
) -> None:
    person = await world.person(balance=balance)
    async with client_of(product_url, person) as client:
        assert error_of(await client.send(stream=stream)) == (402, "insufficient_credits")
    assert gateway.calls == []
    assert await world.messages(person) == []
    await world.check_books()


async def test_a_longer_message_needs_a_higher_balance(product_url: str, gateway: FakeGateway, world: World) -> None:
    async with client_of(product_url, await world.person(balance=str(LEAST))) as client:
        assert error_of(await client.send("Hello " * 100)) == (402, "insufficient_credits")
        await client.ask("Hello")
    assert len(gateway.calls) == 1


async def test_the_last_credits_pay_for_one_more_answer(product_url: str, gateway: FakeGateway, world: World) -> None:
    person = await world.person(balance=str(LEAST))
    gateway.reply = answering(usage=Usage(100, 256, 356))
    async with client_of(product_url, person) as client:
        answer = await client.ask()
        assert Decimal(answer["charge_credits"]) == LEAST
        assert Decimal(answer["balance_credits"]) == 0
        assert error_of(await client.send()) == (402, "insufficient_credits")
    assert len(gateway.calls) == 1
    await world.check_books()


async def test_a_low_balance_buys_a_shorter_answer(product_url: str, gateway: FakeGateway, world: World) -> None:
    lengths = []
    for balance in (str(LEAST), "1", "5", "50", "1000"):
        async with client_of(product_url, await world.person(balance=balance)) as client:
            await client.ask("Hello")
        lengths.append(gateway.calls[-1].request.max_completion_tokens)
    # A fifth of 50 credits is more than the longest answer costs; of 5, less than a usual one, of 1,024 tokens.
    assert lengths[:2] == [256, int((1 - Decimal("0.0016")) * 1000 / Decimal("1.6"))]
    assert 1024 <= lengths[2] <= 1030
    assert lengths[3:] == [4096, 4096]


async def test_a_retry_needs_the_same_balance(product_url: str, gateway: FakeGateway, world: World) -> None:
    person = await world.person(balance="1")
    gateway.reply = refusing("upstream_failed")
    async with client_of(product_url, person) as client:
        await client.send(client_message_id="same")
        await world.top_up(person.company_id, "-0.6")
        assert error_of(await client.send(client_message_id="same")) == (402, "insufficient_credits")
        assert (await world.answer(person))["attempt"] == 1
        await world.top_up(person.company_id, "0.6")
        gateway.reply = answering()
        assert (await client.ask(client_message_id="same"))["status"] == "completed"
    await world.check_books()


async def test_an_answer_longer_than_was_asked_for_costs_what_was_held(
    product_url: str, gateway: FakeGateway, world: World
) -> None:
    person = await world.person(balance="50")
    gateway.reply = answering("very long", usage=Usage(9_000, 9_000, 18_000))
    async with client_of(product_url, person) as client:
        answer = await client.ask("Hello")
    (hold,) = await world.holds(person)
    assert Decimal(answer["charge_credits"]) == hold["amount_credits"] < 50
    await world.check_books()


async def test_what_is_held_cannot_be_spent_twice(product_url: str, gateway: FakeGateway, world: World) -> None:
    person = await world.person(balance="1.5")  # less than an answer usually costs
    gateway.reply = gate = Gate()
    async with client_of(product_url, person) as client:
        running = asyncio.create_task(client.ask())
        await gateway.call()
        assert (await client.http.get("/v1/balance")).json() == {
            "balance_credits": "1.500000",
            "held_credits": "1.500000",
            "available_credits": "0.000000",
        }
        refused = await client.send()
        assert error_of(refused) == (402, "credits_held")
        assert int(refused.headers["retry-after"]) > 0
        await world.check_books()
        gate.open()
        answer = await running
        assert answer["balance_credits"] == "1.486600"
        assert (await client.ask())["balance_credits"] == "1.473200"
    await world.check_books()


async def test_a_failed_answer_gives_back_what_was_held(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = refusing("upstream_failed")
    for _ in range(3):
        await client.send(client_message_id="same")
    account = await world.account(person)
    assert (account["balance_credits"], account["held_credits"], account["entries"]) == (1000, 0, 1)
    assert [hold["state"] for hold in await world.holds(person)] == ["voided"] * 3
    await world.check_books()


async def test_balance_and_ledger_agree(client: Client) -> None:
    answers = [await client.ask() for _ in range(3)]
    balance = (await client.http.get("/v1/balance")).json()
    ledger = (await client.http.get("/v1/ledger")).json()
    assert balance["balance_credits"] == answers[-1]["balance_credits"] == ledger["items"][0]["balance_after_credits"]
    assert [entry["message_id"] for entry in ledger["items"]] == [
        *[answer["user_message_id"] for answer in reversed(answers)],
        None,
    ]
    assert [entry["kind"] for entry in ledger["items"]] == ["charge"] * 3 + ["top_up"]
    assert [entry["position"] for entry in ledger["items"]] == [4, 3, 2, 1]
    assert [entry["amount_credits"] for entry in ledger["items"]] == ["-0.013400"] * 3 + ["1000.000000"]
    assert ledger["next_cursor"] is None
