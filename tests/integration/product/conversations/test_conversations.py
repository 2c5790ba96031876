"""Conversations are found, renamed and erased by their own user."""

# ruff: noqa: RUF001 - Russian looks like that

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from support.database.world import Person, World
from support.gateway.fake import FakeGateway, Gate, answering, refusing
from support.processes.waiting import until
from support.product.app import Client, client_of, error_of

_LOCK = "SELECT FROM conversations WHERE id = $1 FOR UPDATE"
_ERASE = "UPDATE conversations SET deleted_at = now() WHERE id = $1"
_WAITING = "SELECT FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))"


@pytest_asyncio.fixture
async def stranger(product_url: str, world: World) -> AsyncIterator[Client]:
    """Somebody of another company."""
    async with client_of(product_url, await world.person()) as client:
        yield client


async def titles(client: Client, **parameters: str) -> list[str]:
    response = await client.http.get("/v1/conversations", params=parameters)
    assert response.status_code == 200, response.text
    return [item["title"] for item in response.json()["items"]]


async def test_a_conversation_gets_another_title(client: Client) -> None:
    path = f"/v1/conversations/{(await client.ask('Hello'))['conversation_id']}"
    renamed = await client.http.put(f"{path}/title", json={"title": "Отпуск 🌴"})
    assert (renamed.status_code, renamed.json()["title"]) == (200, "Отпуск 🌴")
    assert await titles(client) == ["Отпуск 🌴"]


@pytest.mark.parametrize("title", ["", "   ", "\u200b\u2060", "\u2800", "x" * 81, "a\nb", "a\0b", None, 5], ids=repr)
async def test_an_invalid_title_is_refused(client: Client, title: object) -> None:
    path = f"/v1/conversations/{(await client.ask('Hello'))['conversation_id']}"
    refused = await client.http.put(f"{path}/title", json={"title": title})
    assert refused.status_code in {400, 422}
    assert await titles(client) == ["Hello"]


async def test_a_conversation_is_found_by_title_question_and_answer(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = answering("Москва — столица")
    await client.ask("What is the capital?")
    gateway.reply = answering("100% sure_thing")
    await client.ask("Other")
    assert await titles(client, search="CAPITAL") == ["What is the capital?"]
    assert await titles(client, search="москва") == ["What is the capital?"]
    assert await titles(client, search="other") == ["Other"]
    # Wildcards of SQL patterns are ordinary characters.
    assert await titles(client, search="0% sure_") == ["Other"]
    assert await titles(client, search="_") == ["Other"]
    assert await titles(client, search="nowhere") == []
    for pattern in (".", "x*", "[a-z]+", "(", "\\", "^Other$", "***=Other", "a" * 200):
        assert await titles(client, search=pattern) == []


@pytest.mark.parametrize(
    "search",
    [
        "черный",
        "ЧЁРНЫЙ",
        "ежик",
        "Че\u0308рный е\u0308жик",
        "андрей",
        "андреи\u0306",
        "cafe\u0301",
        "CAFÉ",
        "договор с ООО",
    ],
    ids=ascii,
)
async def test_a_search_finds_what_people_take_for_the_same(client: Client, search: str) -> None:
    said = "Договор с\u00a0ООО «Чёрный ёжик», под\u00adписал Андрей\nв Café"
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, said)
        conversation_id = (await client.ask(text))["conversation_id"]
        listed = await client.http.get(f"/v1/conversations/{conversation_id}/messages")
        assert listed.json()["items"][0]["text"] == text
    assert len(await titles(client, search=search)) == 2


async def test_an_erased_conversation_is_gone_with_all_its_texts(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = answering("a secret answer")
    answer = await client.ask("a secret question", client_message_id="first")
    path = f"/v1/conversations/{answer['conversation_id']}"
    assert (await client.http.delete(path)).status_code == 204
    assert await titles(client) == []
    assert await titles(client, search="secret") == []
    for again in (
        await client.http.delete(path),
        await client.http.put(f"{path}/title", json={"title": "x"}),
        await client.http.get(f"{path}/messages"),
        await client.send("More", conversation_id=answer["conversation_id"]),
    ):
        assert error_of(again) == (404, "conversation_not_found")
    # What was sent cannot be sent again under its id, and is not answered from what is erased.
    again = await client.send("a secret question", client_message_id="first")
    assert error_of(again) == (409, "idempotency_conflict")
    left = await world.rows("SELECT text FROM messages WHERE conversation_id = $1", answer["conversation_id"])
    assert [row["text"] for row in left] == ["", ""]
    assert (await world.row("SELECT title FROM conversations WHERE id = $1", answer["conversation_id"]))["title"] == ""
    assert len(await world.ledger(person)) == 2
    await world.check_books()


async def test_a_conversation_is_not_erased_under_a_running_answer(client: Client, gateway: FakeGateway) -> None:
    opening = await client.ask("Hello")
    path = f"/v1/conversations/{opening['conversation_id']}"
    gate = gateway.reply = Gate("Once ")
    sending = asyncio.create_task(client.send("More", conversation_id=opening["conversation_id"]))
    await gateway.call(2)
    assert error_of(await client.http.delete(path)) == (409, "conversation_busy")
    gate.open()
    assert (await sending).status_code == 200
    assert (await client.http.delete(path)).status_code == 204


@pytest.mark.parametrize("retried", [False, True])
async def test_a_message_to_a_conversation_being_erased_is_refused_and_free(
    client: Client, gateway: FakeGateway, world: World, person: Person, retried: bool
) -> None:
    """It has found the conversation; then it waits for the erasure, which holds its rows, and sees what came of it."""
    message = {"conversation_id": (await client.ask("Hello"))["conversation_id"], "client_message_id": "second"}
    if retried:
        gateway.reply = refusing("upstream_unavailable")
        assert (await client.send("More", **message)).status_code >= 500
    gateway.reply = answering()
    calls, entries = len(gateway.calls), await world.ledger(person)
    async with world.database.connection() as connection:
        async with connection.transaction():
            await connection.execute(_LOCK, message["conversation_id"])
            sending = asyncio.create_task(client.send("More", **message))
            await until(lambda: world.rows(_WAITING, connection.get_server_pid()))
            await connection.execute(_ERASE, message["conversation_id"])
        assert error_of(await sending) == (404, "conversation_not_found")
    assert len(gateway.calls) == calls
    assert await world.ledger(person) == entries
    said = [each["role"] for each in await world.messages(person)]
    assert said == ["user", "assistant"] * (2 if retried else 1)
    await world.check_books()


async def test_no_one_else_changes_it(client: Client, stranger: Client) -> None:
    path = f"/v1/conversations/{(await client.ask('Hello'))['conversation_id']}"
    assert error_of(await stranger.http.put(f"{path}/title", json={"title": "x"})) == (404, "conversation_not_found")
    assert error_of(await stranger.http.delete(path)) == (404, "conversation_not_found")
    assert error_of(await stranger.http.delete(f"/v1/conversations/{uuid4()}")) == (404, "conversation_not_found")
    assert await titles(client) == ["Hello"]
    assert await titles(stranger, search="Hello") == []
