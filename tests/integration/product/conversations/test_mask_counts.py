"""How many values were hidden, by kind and day."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from b2b_chat.product.conversations.repository import _COUNT_MASKS
from support.database.world import World
from support.product.app import Client, client_of, error_of

PATH = "/v1/company/masking/counts"
PEOPLE = "Соколова Ирина Павловна и Тихонов Олег Юрьевич, снова Соколова Ирина Павловна: irina@example.com"


@pytest_asyncio.fixture
async def admin(product_url: str, world: World) -> AsyncIterator[Client]:
    person = await world.person(role="admin")
    async with client_of(product_url, person) as client:
        yield client


async def test_values_are_counted_where_they_stand_and_only_in_questions(admin: Client) -> None:
    await admin.ask(PEOPLE)
    await admin.ask("Ничего особенного")
    told = (await admin.http.get(PATH)).json()
    assert told["counts"] == {"PERSON": 3, "EMAIL": 1}
    assert told["values"] == 4
    assert len(told["days"]) == 30
    assert told["days"][-1] == {"day": f"{datetime.now(UTC):%Y-%m-%d}", "counts": {"PERSON": 3, "EMAIL": 1}}
    assert "Соколова" not in str(told)


async def test_each_day_has_its_own(admin: Client, world: World) -> None:
    for days in (0, 1, 1, 40):
        await admin.ask(PEOPLE)
        (newest,) = await world.rows("SELECT id FROM messages WHERE role = 'user' ORDER BY id DESC LIMIT 1")
        at = datetime.now(UTC) - timedelta(days=days)
        await world.rows("UPDATE messages SET created_at = $1 WHERE id = $2", at, newest["id"])
    told = (await admin.http.get(PATH, params={"days": 2})).json()
    assert [day["counts"].get("EMAIL") for day in told["days"]] == [2, 1]
    assert (await admin.http.get(PATH)).json()["counts"]["EMAIL"] == 3
    earlier: dict[str, str | int] = {"days": 1, "last_day": f"{datetime.now(UTC) - timedelta(days=40):%Y-%m-%d}"}
    assert (await admin.http.get(PATH, params=earlier)).json()["counts"] == {"PERSON": 3, "EMAIL": 1}


async def test_another_company_has_its_own_and_a_deleted_conversation_none(
    admin: Client, world: World, product_url: str
) -> None:
    answer = await admin.ask(PEOPLE)
    other = await world.person(role="owner")
    async with client_of(product_url, other) as client:
        assert (await client.http.get(PATH)).json()["values"] == 0
    await admin.http.delete(f"/v1/conversations/{answer['conversation_id']}")
    assert (await admin.http.get(PATH)).json()["values"] == 0


async def test_they_are_for_admins(product_url: str, world: World) -> None:
    async with client_of(product_url, await world.person(role="member")) as client:
        assert (await client.http.get(PATH)).status_code == 403


@pytest.mark.parametrize(
    "query", [{"days": 0}, {"days": 93}, {"last_day": "x"}, {"last_day": "2026-02-30"}, {"day": 1}]
)
async def test_a_query_that_makes_no_sense_is_refused(admin: Client, query: dict[str, str]) -> None:
    assert error_of(await admin.http.get(PATH, params=query))[0] == 400


async def test_they_are_read_by_their_index(world: World) -> None:
    """Small tables are read whole, so the planner is told to prefer an index, where one fits."""
    async with world.database.connection() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        sql = str(_COUNT_MASKS)
        for number, name in enumerate((":company_id", ":since", ":until"), start=1):
            sql = sql.replace(name, f"${number}")
        person = await world.person()
        now = datetime.now(UTC)
        plan = await connection.fetch(f"EXPLAIN {sql}", person.company_id, now - timedelta(days=30), now)
    assert any("ix_messages_masked" in line[0] for line in plan)
