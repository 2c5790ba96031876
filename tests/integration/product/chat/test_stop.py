"""Stopping an answer: what there is of it is kept, and paid for by an estimate."""

import asyncio
from decimal import Decimal

import httpx
import msgspec
import pytest

from b2b_chat.contract.schemas import ChatResult, Usage
from b2b_chat.contract.sse import encode
from b2b_chat.product.credits.pricing import Prices
from support.database.world import Person, World
from support.gateway.fake import EVENTS_HEAD, Call, FakeGateway, Gate, Reply, delta, refusing
from support.product.app import Client, client_of, error_of, served_product


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


# Text and tokens of it as `tiktoken` counts them; "Hello" is a prompt of 8.
TEXTS = {
    "Russian": ("Договор аренды заключается в письменной форме, путём составления одного документа.\n", 17),
    "English": ("A lease is made in writing, by one document that both of the parties have to sign.\n", 19),
    "code": ("def squares(limit: int) -> list[int]:\n    return [n * n for n in range(limit)]\n", 22),
    "digits": ("4276 3800 1234 5678; 40817810099910004312; 1 234 567,89\n", 30),
    "CJK": ("房屋租赁合同应当采用书面形式,并由双方当事人签字。\n", 21),
}
PRICES = Prices(Decimal("0.2"), Decimal("1.6"))


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("times", [25, 75])
async def test_the_estimate_is_what_the_upstream_would_have_counted(
    client: Client, gateway: FakeGateway, world: World, language: str, times: int
) -> None:
    text, tokens = TEXTS[language]
    gateway.reply = Gate(text * times, text * 100)
    async with client.streaming() as events:
        answer_id = (await anext(events)).data["assistant_message_id"]
        await anext(events)
        stopped = (await stop(client, answer_id)).json()
    fair = PRICES.cost(Usage(8, tokens * times, 8 + tokens * times))
    assert abs(Decimal(stopped["charge_credits"]) / fair - 1) <= Decimal("0.05")
    await world.check_books()


def thinking(tokens: int, seconds: float, text: str, *, to_its_end: bool) -> Reply:
    """Think unseen, then answer, and wait with the end where it is not to come."""

    async def reply(call: Call) -> None:
        await call.send(EVENTS_HEAD)
        await asyncio.sleep(seconds)
        await call.send_chunk(delta(text))
        if not to_its_end:
            await call.wait_until_left()
            return
        usage = Usage(8, tokens + 50, 58 + tokens, reasoning_tokens=tokens)
        await call.send_chunk(encode(b"final", msgspec.json.encode(ChatResult(text, usage))))
        await call.send_chunk(b"")

    return reply


async def test_hidden_reasoning_is_paid_for_at_the_last_word_too(
    database_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    text = "Once upon a time. " * 10
    # A product of its own: what its upstream is known to do counts.
    async with served_product(database_url, gateway.url) as url, client_of(url, person) as client:
        gateway.reply = thinking(3000, 1.5, text, to_its_end=True)
        whole = (await client.stream())[-1].data
        gateway.reply = thinking(3000, 1.5, text, to_its_end=False)
        async with client.streaming() as events:
            answer_id = (await anext(events)).data["assistant_message_id"]
            await anext(events)
            stopped = (await stop(client, answer_id)).json()
    assert stopped["usage"]["estimated"] is True
    assert Decimal(stopped["charge_credits"]) >= Decimal("0.8") * Decimal(whole["charge_credits"])
    assert stopped["usage"]["completion_tokens"] <= gateway.calls[-1].request.max_completion_tokens
    hold = (await world.holds(person))[-1]
    assert Decimal(stopped["charge_credits"]) <= hold["amount_credits"]
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
