"""Many at once: one message is answered once, and no credit is lost or made."""

import asyncio
from decimal import Decimal

import httpx
import pytest

from b2b_chat.contract.schemas import Usage
from support.database.world import Person, World
from support.gateway.fake import FakeGateway, Gate, answering
from support.product.app import Client, client_of, error_of, served_product

SAME = {"client_message_id": "same"}


@pytest.mark.parametrize("in_conversation", [False, True])
async def test_fifty_identical_sends_make_one_message(
    client: Client, gateway: FakeGateway, world: World, person: Person, in_conversation: bool
) -> None:
    thread = {"conversation_id": (await client.ask("opening"))["conversation_id"]} if in_conversation else {}
    before = len(gateway.calls)
    responses = await asyncio.gather(*[client.send("once", **thread, **SAME) for _ in range(50)])
    assert {response.status_code for response in responses} == {200}
    assert all(response.json() == responses[0].json() for response in responses)
    assert len(gateway.calls) == before + 1
    messages = await world.messages(person)
    assert [message["text"] for message in messages].count("once") == 1
    assert len([message for message in messages if message["role"] == "assistant"]) == before + 1
    assert len(await world.ledger(person)) == 1 + before + 1
    await world.check_books()


async def test_fifty_identical_sends_of_which_half_are_streamed(
    client: Client, gateway: FakeGateway, world: World
) -> None:
    gateway.reply = gate = Gate()
    asking = [asyncio.create_task(client.ask(**SAME)) for _ in range(25)]
    following = [asyncio.create_task(client.stream(**SAME)) for _ in range(25)]
    await gateway.call()
    gate.open()
    answers = [await task for task in asking]
    finals = [(await task)[-1].data for task in following]
    assert all(answer == answers[0] for answer in answers)
    assert all(final.items() <= answers[0].items() for final in finals)
    assert len(gateway.calls) == 1
    await world.check_books()


async def test_of_different_texts_under_one_id_one_is_answered(
    client: Client, gateway: FakeGateway, world: World
) -> None:
    responses = await asyncio.gather(*[client.send(f"text {number}", **SAME) for number in range(20)])
    refused = [error_of(response) for response in responses if response.status_code != 200]
    assert refused == [(409, "idempotency_conflict")] * 19
    assert len(gateway.calls) == 1
    await world.check_books()


async def test_sixteen_people_of_one_company_share_one_account(
    client: Client, product_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = answering("ok", usage=Usage(7, 3, 10))

    async def chats(member: Person) -> list[Decimal]:
        async with client_of(product_url, member) as mine:
            return [Decimal((await mine.ask())["charge_credits"]) for _ in range(5)]

    members = [person, *[await world.person(company_id=person.company_id) for _ in range(15)]]
    charges = [charge for many in await asyncio.gather(*map(chats, members)) for charge in many]
    assert charges == [Decimal("0.006200")] * 80
    balance = (await client.http.get("/v1/balance")).json()
    assert balance == {
        "balance_credits": "999.504000",
        "held_credits": "0.000000",
        "available_credits": "999.504000",
    }
    await world.check_books()


async def test_one_of_many_messages_to_a_conversation_is_taken(
    client: Client, gateway: FakeGateway, world: World
) -> None:
    thread = {"conversation_id": (await client.ask("opening"))["conversation_id"]}
    gateway.reply = gate = Gate()
    sending = [asyncio.create_task(client.send("next", **thread)) for _ in range(20)]
    await gateway.call(2)
    finished: set[asyncio.Task[httpx.Response]] = set()
    running = set(sending)
    while len(running) > 1:
        done, running = await asyncio.wait(running, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        assert done, "more than one was taken"
        finished |= done
    assert [error_of(task.result()) for task in finished] == [(409, "conversation_busy")] * 19
    gate.open()
    assert (await running.pop()).status_code == 200
    await world.check_books()


async def test_credits_for_three_answers_never_pay_for_a_fourth(
    database_url: str, gateway: FakeGateway, world: World
) -> None:
    person = await world.person(balance="0.081000")  # about three times what is held for the longest answer
    async with (
        served_product(database_url, gateway.url, chat_max_completion_tokens=16) as url,
        client_of(url, person) as client,
    ):
        responses = await asyncio.gather(*[client.send() for _ in range(16)])
        paid = sum(Decimal(response.json()["charge_credits"]) for response in responses if response.is_success)
        refused = {error_of(response) for response in responses if not response.is_success}
        # Held while others are being answered; used up for one that comes after they were.
        assert refused
        assert refused <= {(402, "credits_held"), (402, "insufficient_credits")}
    account = await world.account(person)
    assert account["balance_credits"] == Decimal("0.081000") - paid >= 0
    assert account["held_credits"] == 0
    await world.check_books()


async def test_credits_can_be_added_while_others_are_spent(client: Client, world: World, person: Person) -> None:
    await asyncio.gather(*[client.ask() for _ in range(20)], *[world.top_up(person.company_id, "1") for _ in range(20)])
    account = await world.account(person)
    assert account["balance_credits"] == Decimal(1000) + 20 - 20 * Decimal("0.0134")
    assert account["entries"] == 41
    await world.check_books()


async def test_a_company_whose_sends_are_stuck_leaves_places_for_others(
    database_url: str, gateway: FakeGateway, world: World
) -> None:
    stuck, other = await world.person(), await world.person()
    async with (
        served_product(database_url, gateway.url, chat_admissions_at_once=4, database_pool_size=8) as url,
        client_of(url, stuck) as of_stuck,
        client_of(url, other) as of_other,
        world.database.connection() as holder,
    ):
        async with holder.transaction():
            await holder.execute("SELECT FROM accounts WHERE company_id = $1 FOR UPDATE", stuck.company_id)
            sends = [asyncio.create_task(of_stuck.send()) for _ in range(20)]
            await asyncio.sleep(0.3)
            assert (await of_other.ask())["status"] == "completed"
            assert not any(send.done() for send in sends)
        assert {response.status_code for response in await asyncio.gather(*sends)} == {200}
