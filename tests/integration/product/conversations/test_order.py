"""One conversation, and lists in other orders."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from support.database.world import World
from support.product.app import Client, client_of, error_of

PATH = "/v1/conversations"


@pytest_asyncio.fixture
async def stranger(product_url: str, world: World) -> AsyncIterator[Client]:
    """Somebody of another company."""
    async with client_of(product_url, await world.person()) as client:
        yield client


async def listed(client: Client, **parameters: str | int) -> list[str]:
    """The titles of all pages, one conversation after the other."""
    titles: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await client.http.get(PATH, params={**parameters, **cursor})).json()
        titles += [item["title"] for item in page["items"]]
        if page["next_cursor"] is None:
            return titles
        cursor = {"cursor": page["next_cursor"]}


async def test_one_conversation_is_shown_to_its_user_alone(client: Client, stranger: Client) -> None:
    answer = await client.ask("Hello")
    path = f"{PATH}/{answer['conversation_id']}"
    shown = (await client.http.get(path)).json()
    assert (shown["id"], shown["title"]) == (answer["conversation_id"], "Hello")
    assert shown["updated_at"] >= shown["created_at"]
    for who, where in ((stranger, path), (client, f"{PATH}/{uuid4()}")):
        assert error_of(await who.http.get(where)) == (404, "conversation_not_found")
    await client.http.delete(path)
    assert error_of(await client.http.get(path)) == (404, "conversation_not_found")


@pytest.mark.parametrize("limit", [1, 2, 50])
async def test_by_activity_the_one_last_used_comes_first(client: Client, limit: int) -> None:
    opened = [(await client.ask(title))["conversation_id"] for title in ("Alpha", "Bravo", "Coda")]
    await client.ask("Again", conversation_id=opened[0])
    assert await listed(client, limit=limit) == ["Coda", "Bravo", "Alpha"]
    assert await listed(client, limit=limit, order="activity") == ["Alpha", "Coda", "Bravo"]
    assert await listed(client, limit=limit, order="activity", search="alph") == ["Alpha"]
    shown = (await client.http.get(f"{PATH}/{opened[0]}")).json()
    assert shown["updated_at"] > shown["created_at"]


async def test_what_is_refused_is_no_activity(client: Client, world: World) -> None:
    first = (await client.ask("A"))["conversation_id"]
    await client.ask("B")
    await world.rows("UPDATE accounts SET balance_credits = held_credits, entries = entries")
    assert (await client.send(conversation_id=first)).status_code == 402
    assert await listed(client, order="activity") == ["B", "A"]


async def test_a_cursor_belongs_to_its_order(client: Client) -> None:
    for title in ("A", "B"):
        await client.ask(title)
    for order, other in (("created", "activity"), ("activity", "created")):
        cursor = (await client.http.get(PATH, params={"order": order, "limit": 1})).json()["next_cursor"]
        assert error_of(await client.http.get(PATH, params={"order": other, "cursor": cursor}))[0] == 400
    assert error_of(await client.http.get(PATH, params={"order": "title"}))[0] == 400


async def test_messages_come_newest_first_where_that_is_asked(client: Client) -> None:
    conversation = (await client.ask("One"))["conversation_id"]
    await client.ask("Two", conversation_id=conversation)
    path = f"{PATH}/{conversation}/messages"
    oldest_first = (await client.http.get(path)).json()["items"]
    got, cursor = [], None
    for _ in oldest_first:
        query: dict[str, str | int] = {"order": "desc", "limit": 1, **({"cursor": cursor} if cursor else {})}
        page = (await client.http.get(path, params=query)).json()
        got += page["items"]
        cursor = page["next_cursor"]
    assert cursor is None
    assert got == oldest_first[::-1]
