"""One key, one charge; without a key a call ends with its client; and what is kept of either, how long, for whom."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from b2b_chat.contract.content import ToolCallPiece
from b2b_chat.product.services import services_of
from support.database.world import Person, World
from support.gateway.fake import ANSWER, FakeGateway, Gate, answering, delta, events, in_turn, refusing
from support.gateway.fake import Call as GatewayCall
from support.processes.waiting import until
from support.product.app import Client, client_of, product_settings, served_product
from support.product.completions import (
    FIND,
    PATH,
    body,
    chunks_of,
    complete,
    completed,
    ended,
    of_today,
    openai_error_of,
    tool_events,
)

DAY: Final = 86_400


async def charges(world: World, person: Person) -> int:
    await world.check_books()
    return len(await world.ledger(person)) - 1  # but for the top-up


async def age(world: World, person: Person, seconds: float) -> None:
    """Make the person's conversations older."""
    await world.rows(
        "UPDATE conversations SET created_at = created_at - $1::interval WHERE user_id = $2",
        timedelta(seconds=seconds),
        person.user_id,
    )


async def erase(database_url: str) -> int:
    """Erase as the background does, and return of how many calls."""
    services = services_of(product_settings(database_url))
    await services.database.open()
    try:
        return await services.call_texts.erase_old()
    finally:
        await services.database.close()


async def test_many_at_once_with_one_key(client: Client, gateway: FakeGateway, world: World, person: Person) -> None:
    gateway.reply = gate = Gate("Once ")
    calls = [asyncio.create_task(complete(client.http, "same", stream=bool(n % 2))) for n in range(10)]
    await gateway.call()
    await asyncio.sleep(0)
    gate.open()
    answers = await asyncio.gather(*calls)
    texts = {
        "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks_of(answer))
        if number % 2
        else answer.json()["choices"][0]["message"]["content"]
        for number, answer in enumerate(answers)
    }
    assert texts == {ANSWER}
    assert len(gateway.calls) == 1
    assert await charges(world, person) == 1


async def test_an_answer_is_given_again_after_a_restart(
    client: Client, database_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    first = await completed(client.http, "same")
    async with served_product(database_url, gateway.url) as url, client_of(url, person) as again:
        assert await completed(again.http, "same") == first
        chunks = chunks_of(await complete(again.http, "same", stream=True))
    assert {chunk["id"] for chunk in chunks} == {first["id"]}
    assert chunks[1]["choices"][0]["delta"] == {"content": ANSWER}
    assert len(gateway.calls) == 1
    assert await charges(world, person) == 1


async def test_another_body_under_the_same_key(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    await completed(client.http, "same")
    for fields in ({"messages": [{"role": "user", "content": "Bye"}]}, {"max_tokens": 5}):
        refused = await complete(client.http, "same", **fields)
        assert openai_error_of(refused) == (409, "idempotency_conflict", "Idempotency-Key")
        assert refused.headers["x-should-retry"] == "false"
    assert len(gateway.calls) == 1
    assert await charges(world, person) == 1


async def test_keys_of_two_people_of_two_companies_are_their_own(
    client: Client, product_url: str, world: World, person: Person
) -> None:
    mine = await completed(client.http, "same")
    stranger = await world.person()
    async with client_of(product_url, stranger) as other:
        theirs = await completed(other.http, "same")
        path = f"/v1/chat/{mine['b2b']['assistant_message_id']}/events"
        assert (await other.http.get(path)).status_code == 404
    another = await completed(client.http, "another")
    assert len({mine["id"], theirs["id"], another["id"]}) == 3
    assert (await charges(world, person), await charges(world, stranger)) == (2, 1)


async def test_a_failed_call_may_be_sent_again(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = refusing("upstream_unavailable")
    assert (await complete(client.http, "same")).status_code == 503
    gateway.reply = answering()
    assert (await completed(client.http, "same"))["choices"][0]["message"]["content"] == ANSWER
    assert await charges(world, person) == 1


async def test_each_call_without_a_key_is_one_of_its_own(client: Client, world: World, person: Person) -> None:
    ids = {(await completed(client.http))["id"] for _ in range(3)}
    assert len(ids) == 3
    assert await charges(world, person) == 3


async def test_without_a_key_a_call_ends_with_its_client_and_pays_for_what_was_delivered(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = Gate("Once upon ")
    async with client.http.stream("POST", PATH, json=body(stream=True)) as response:
        async for line in response.aiter_lines():
            if "Once upon" in line:
                break
    call = await gateway.call()
    await asyncio.wait_for(call.left.wait(), 10)

    async def has_ended() -> bool:
        return bool((await world.answer(person))["status"] == "error")

    await until(has_ended)
    answer = await world.answer(person)
    assert (answer["error_code"], answer["text"]) == ("client_disconnected", "Once upon ")
    assert await charges(world, person) == 1


async def left(client: Client, gateway: FakeGateway, key: str | None = None, **fields: Any) -> GatewayCall:
    """Ask for an answer, and hang up once the gateway is asked; return what it was asked."""
    asking = asyncio.create_task(complete(client.http, key, **fields))
    call = await gateway.call()
    asking.cancel()
    await asyncio.wait({asking})
    return call


@pytest.mark.parametrize("stream", [False, True])
async def test_without_a_key_and_without_a_word_it_costs_nothing(
    client: Client, gateway: FakeGateway, world: World, person: Person, stream: bool
) -> None:
    gateway.reply = Gate()
    call = await left(client, gateway, stream=stream)
    await asyncio.wait_for(call.left.wait(), 10)

    async def is_free() -> bool:
        return [hold["state"] for hold in await world.holds(person)] == ["voided"]

    await until(is_free)
    assert await charges(world, person) == 0


async def test_with_a_key_an_answer_goes_on_without_its_client(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = gate = Gate("Once ")
    await left(client, gateway, "same")
    gate.open()
    assert (await completed(client.http, "same"))["choices"][0]["message"]["content"] == ANSWER
    assert len(gateway.calls) == 1
    assert await charges(world, person) == 1


async def test_nothing_of_a_call_is_listed_or_found(client: Client, world: World, person: Person) -> None:
    answer = await completed(client.http, "same")
    conversation_id = answer["b2b"]["conversation_id"]
    for query in ("", "?search=Once", "?search=a"):
        assert (await client.http.get(f"/v1/conversations{query}")).json()["items"] == []
    assert (await client.http.get(f"/v1/conversations/{conversation_id}/messages")).status_code == 404
    assert (await client.send("More", conversation_id=conversation_id)).status_code == 404
    assert [message["is_searchable"] for message in await world.messages(person)] == [None, None]


async def test_a_stored_call_is_a_conversation(client: Client, database_url: str, world: World, person: Person) -> None:
    messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "A tale of old"}]
    answer = await completed(client.http, store=True, messages=messages)
    [listed] = (await client.http.get("/v1/conversations")).json()["items"]
    assert (listed["id"], listed["title"]) == (answer["b2b"]["conversation_id"], "A tale of old")
    assert len((await client.http.get("/v1/conversations?search=Once")).json()["items"]) == 1
    await age(world, person, DAY + 60)
    await erase(database_url)
    shown = (await client.http.get(f"/v1/conversations/{listed['id']}/messages")).json()["items"]
    assert [message["text"] for message in shown] == ["A tale of old", ANSWER]
    assert (await client.ask("And then?", conversation_id=listed["id"]))["status"] == "completed"
    await world.check_books()


async def test_texts_are_erased_once_no_replay_may_need_them(
    client: Client, database_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    find = ToolCallPiece(0, "call_a", "find", '{"who":"[PERSON_1]"}')
    gateway.reply = of_today(
        events(delta("Ищу [PERSON_1]."), tool_events(find), ended("Ищу [PERSON_1].", "tool_calls"))
    )
    asked: dict[str, Any] = {"tools": [FIND], "messages": [{"role": "user", "content": "Найди: Иванов Пётр Ильич"}]}
    chunks_of(await complete(client.http, "same", stream=True, **asked))
    first = await completed(client.http, "same", **asked)
    await age(world, person, DAY - 60)
    await erase(database_url)
    assert await completed(client.http, "same", **asked) == first
    assert "Иванов" in (await world.answer(person))["text"]
    await age(world, person, 120)
    assert await erase(database_url) == 1
    kept: list[Any] = [
        (message["text"], message["masks"], message["masked_by"], message["beside_text"], message["fingerprint"])
        for message in await world.messages(person)
    ]
    assert kept == [("", None, None, None, b"")] * 2
    refused = await complete(client.http, "same", **asked)
    assert openai_error_of(refused) == (409, "idempotency_conflict", "Idempotency-Key")
    assert len([call for call in gateway.calls if call.body]) == 1
    assert await charges(world, person) == 1


async def test_an_answer_that_is_being_written_is_not_erased(
    client: Client, database_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = gate = Gate("Once ")
    call = asyncio.create_task(completed(client.http, "same"))
    await gateway.call()
    await age(world, person, DAY + 60)
    assert await erase(database_url) == 0
    gate.open()
    assert (await call)["choices"][0]["message"]["content"] == ANSWER
    assert await erase(database_url) == 1


@pytest_asyncio.fixture
async def impatient(product_url: str, person: Person) -> AsyncIterator[AsyncOpenAI]:
    """OpenAI's SDK, which hangs up after a second and tries again by itself."""
    async with AsyncOpenAI(api_key=person.api_key, base_url=f"{product_url}/v1", timeout=1, max_retries=5) as sdk:
        yield sdk


async def test_silent_retries_with_a_key_cost_once(
    impatient: AsyncOpenAI, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = gate = Gate("Once ")
    asked: Any = body()
    call = asyncio.create_task(impatient.chat.completions.create(**asked, extra_headers={"Idempotency-Key": "same"}))
    await gateway.call()
    await asyncio.sleep(1.2)  # the first try has hung up
    gate.open()
    assert (await call).choices[0].message.content == ANSWER
    assert len(gateway.calls) == 1
    assert await charges(world, person) == 1


async def test_silent_retries_without_one_cost_what_was_delivered(
    impatient: AsyncOpenAI, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = in_turn(Gate(), answering())
    asked: Any = body()
    answer = await impatient.chat.completions.create(**asked)
    assert answer.choices[0].message.content == ANSWER
    assert len(gateway.calls) > 1

    async def is_over() -> bool:
        return {hold["state"] for hold in await world.holds(person)} == {"posted", "voided"}

    await until(is_over)
    assert await charges(world, person) == 1
