"""Stopping an answer: what there is of it is kept, and paid for by an estimate."""

import asyncio
from decimal import Decimal

import httpx

from support.database.world import Person, World
from support.gateway.fake import FakeGateway, Gate, refusing
from support.product.app import Client, error_of


async def stop(client: Client, answer_id: str) -> httpx.Response:
    return await client.http.post(f"/v1/chat/{answer_id}/stop")


async def test_stopping_mid_answer(client: Client, gateway: FakeGateway, world: World, person: Person) -> None:
    gateway.reply = Gate("Once upon")
    async with client.streaming() as events:
        answer_id = (await anext(events)).data["assistant_message_id"]
        assert (await anext(events)).data == {"text": "Once upon"}
        stopped = (await stop(client, answer_id)).json()
        (last,) = [event async for event in events]
    await asyncio.wait_for(gateway.calls[0].left.wait(), 1)

    assert (stopped["status"], stopped["text"]) == ("stopped", "Once upon")
    assert stopped["usage"]["estimated"] is True
    assert last.name == "final"
    assert last.data == {name: stopped[name] for name in last.data}

    answer = await world.answer(person)
    assert (answer["status"], answer["text"]) == ("stopped", "Once upon")
    charge = Decimal(stopped["charge_credits"])
    assert charge > 0
    assert (await world.ledger(person))[-1]["amount_credits"] == -charge
    assert (await world.account(person))["balance_credits"] == Decimal(stopped["balance_credits"]) == 1000 - charge
    await world.check_books()


async def test_stopping_twice_is_stopping_once(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = Gate("Once upon")
    async with client.streaming() as events:
        answer_id = (await anext(events)).data["assistant_message_id"]
        await anext(events)
        answers = [response.json() for response in await asyncio.gather(*(stop(client, answer_id) for _ in range(20)))]
    answers.append((await stop(client, answer_id)).json())
    assert all(answer == answers[0] for answer in answers)
    assert len(await world.ledger(person)) == 2  # the top-up and one charge
    await world.check_books()


async def test_stopping_before_the_first_word(client: Client, gateway: FakeGateway, world: World) -> None:
    gateway.reply = Gate()
    async with client.streaming() as events:
        answer_id = (await anext(events)).data["assistant_message_id"]
        await gateway.call()
        stopped = (await stop(client, answer_id)).json()
    assert (stopped["status"], stopped["text"]) == ("stopped", "")
    assert stopped["usage"]["completion_tokens"] == 0
    await world.check_books()


async def test_stopping_what_is_answered_whole(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = Gate()
    waiting = asyncio.create_task(client.send())
    await gateway.call()
    stopped = await stop(client, str((await world.answer(person))["id"]))
    assert (await waiting).json() == stopped.json()
    assert stopped.json()["status"] == "stopped"


async def test_a_retry_of_a_stopped_message_returns_what_is_stored(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = Gate("Once upon")
    same = {"client_message_id": "same"}
    async with client.streaming(**same) as events:
        answer_id = (await anext(events)).data["assistant_message_id"]
        await anext(events)
        stopped = (await stop(client, answer_id)).json()
    assert await client.ask(**same) == stopped
    assert len(gateway.calls) == 1


async def test_what_is_complete_stays_so(client: Client) -> None:
    answer = await client.ask()
    response = await stop(client, answer["assistant_message_id"])
    assert (response.status_code, response.json()) == (200, answer)


async def test_what_failed_cannot_be_stopped(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = refusing("upstream_failed")
    await client.send()
    response = await stop(client, str((await world.answer(person))["id"]))
    assert error_of(response) == (409, "nothing_to_stop")
