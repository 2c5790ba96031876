"""A search reads what the index points to, and takes nothing from others."""

# ruff: noqa: RUF001 - Russian looks like that

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest
from sqlalchemy import text

from b2b_chat.kit.search import indexed_part, pattern_of
from b2b_chat.product.conversations.indexing import SearchIndex
from b2b_chat.product.conversations.repository import ConversationRepository
from support.database.world import Person, World
from support.gateway.fake import FakeGateway
from support.processes.waiting import until
from support.product.app import Client, client_of, error_of, served_product

_FILL = """
    WITH conversation AS (
        INSERT INTO conversations (id, company_id, user_id, title) VALUES (gen_random_uuid(), $1, $2, 'Long')
        RETURNING id
    )
    INSERT INTO messages (id, company_id, user_id, conversation_id, role, status, text, completed_at)
    SELECT gen_random_uuid(), $1, $2, id, 'user', 'completed', 'Письмо номер ' || number, now()
    FROM conversation, generate_series(1, 3000) AS number
"""
_READ = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'messages'"
"""By this transaction."""


async def titles(client: Client, search: str) -> list[str]:
    response = await client.http.get("/v1/conversations", params={"search": search})
    assert response.status_code == 200, response.text
    return [item["title"] for item in response.json()["items"]]


@asynccontextmanager
async def locked(database_url: str, table: str) -> AsyncIterator[None]:
    """Nobody gets at a table meanwhile."""
    holder = await asyncpg.connect(database_url)
    try:
        async with holder.transaction():
            await holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await holder.close()


async def test_a_search_reads_no_message_that_it_cannot_find(world: World, person: Person) -> None:
    await world.rows(_FILL, person.company_id, person.user_id)
    await until_indexed(world)
    await world.rows("ANALYZE messages")
    async with world.database.session() as session:
        repository = ConversationRepository(session)

        async def found(search: str) -> int:
            rows = await repository.list_conversations(
                person.company_id, person.user_id, containing=search, before=None, limit=10
            )
            return len(rows)

        assert [await found("нигде"), await found("номер 2999")] == [0, 1]
        assert (await session.scalar(text(_READ))) < 100


async def until_indexed(world: World) -> None:
    """Let all messages enter the index; a product_api that serves the same database may be at it too."""

    async def is_done() -> bool:
        await SearchIndex(world.database).catch_up()
        return not await world.rows("SELECT FROM messages WHERE NOT is_searchable AND completed_at IS NOT NULL LIMIT 1")

    await until(is_done)


async def test_messages_are_found_before_they_are_in_the_index_and_while_others_are(
    client: Client, world: World
) -> None:
    await client.ask("Первый вопрос")
    await until_indexed(world)
    await client.ask("Второй вопрос")
    assert await titles(client, "вопрос") == ["Второй вопрос", "Первый вопрос"]
    await until_indexed(world)
    assert await titles(client, "ВОПРОС") == ["Второй вопрос", "Первый вопрос"]
    assert await titles(client, "ос") == ["Второй вопрос", "Первый вопрос"]


_ALPHABETS = "".join(map(chr, range(0x20, 0x250))) + "ςσΣάΆİıſßẞµКкЀѐЇїҐґЁёЙй日本語한각🌴ﬁǅ\u212b\u2126"


async def test_the_index_misses_nothing_that_the_pattern_finds(world: World) -> None:
    words = [f"{a}{b}{c}" for a, b, c in zip(_ALPHABETS, _ALPHABETS[1:], _ALPHABETS[2:], strict=False)]
    texts = [form for word in words for form in (word, word.upper(), word.lower(), f"{word[0]}\u00ad{word[1:]}")]
    query = "SELECT search_grams($1, said) @> search_grams($1, $2) AS is_found FROM unnest($3::text[]) AS said"
    owner = (await world.person()).user_id
    checked = 0
    for word in words:
        pattern, part = re.compile(pattern_of(word)), indexed_part(word)
        found = [said for said in texts if pattern.search(said)]
        if part and found:
            checked += 1
            assert all(row["is_found"] for row in await world.rows(query, owner, part, found)), word
    assert checked > 100


async def test_an_erased_text_leaves_the_index(client: Client, world: World, person: Person) -> None:
    answer = await client.ask("a canary in the mine")
    await until_indexed(world)
    assert (await client.http.delete(f"/v1/conversations/{answer['conversation_id']}")).status_code == 204
    query = "SELECT id FROM messages WHERE is_searchable AND search_grams(user_id, text) @> search_grams($1, 'canary')"
    assert await world.rows(query, person.user_id) == []


async def test_searches_that_hang_end_and_keep_nobody_from_signing_in(
    database_url: str, module_gateway: FakeGateway, world: World
) -> None:
    changes = {"database_reading_timeout_seconds": 1.0, "database_acquire_timeout_seconds": 1.0}
    people = [await world.person() for _ in range(12)]
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(served_product(database_url, module_gateway.url, **changes))
        clients = [await stack.enter_async_context(client_of(url, person)) for person in people]
        async with locked(database_url, "conversations"):
            searches = [
                asyncio.create_task(client.http.get("/v1/conversations", params={"search": "word"}))
                for client in clients
            ]

            async def are_waiting() -> bool:
                return bool(await world.rows("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))

            await until(are_waiting)
            refused = await clients[0].http.post("/auth/verify", json={"token": "x" * 43})
            assert error_of(refused) == (401, "invalid_proof")
            assert (await clients[0].http.get("/v1/me")).status_code == 200
            ready = await clients[0].http.get("/ready")
            assert ready.json()["detail"]["message"] == "Not ready: gateway."  # the fake one has no ping
            found = {error_of(response) for response in await asyncio.gather(*searches)}
        assert (503, "took_too_long") in found
        assert found <= {(503, "took_too_long"), (503, "database_unavailable")}


async def test_a_person_has_few_searches_waiting(
    database_url: str, module_gateway: FakeGateway, person: Person
) -> None:
    async with (
        served_product(database_url, module_gateway.url, database_reading_timeout_seconds=0.5) as url,
        client_of(url, person) as client,
        locked(database_url, "conversations"),
    ):
        searches = [client.http.get("/v1/conversations", params={"search": "word"}) for _ in range(6)]
        found = [error_of(response) for response in await asyncio.gather(*searches)]
    assert sorted(found) == [(429, "rate_limited")] * 2 + [(503, "took_too_long")] * 4


@pytest.mark.parametrize(("setting", "label"), [("read_rpm_per_user", "user"), ("read_rpm_per_company", "company")])
async def test_reading_is_limited_by_person_and_company(
    database_url: str, module_gateway: FakeGateway, person: Person, world: World, setting: str, label: str
) -> None:
    async with served_product(database_url, module_gateway.url, **{setting: 2}) as url:
        async with client_of(url, person) as client:
            assert [(await client.http.get("/v1/balance")).status_code for _ in range(2)] == [200, 200]
            refused = await client.http.get("/v1/ledger/export")
            assert error_of(refused) == (429, "rate_limited")
            assert f'"{label}";q=2;w=60' in refused.headers["ratelimit-policy"]
            assert (await client.send("Hello")).status_code == 200
        async with client_of(url, await world.person()) as stranger:
            assert (await stranger.http.get("/v1/balance")).status_code == 200
