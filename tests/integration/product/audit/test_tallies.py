"""What may happen often leaves a row at once and a count, and what operators read leaves one too."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

import pytest

from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import Actor
from b2b_chat.product.audit.tallies import Tallies
from b2b_chat.product.transactions import transaction_factory
from support.database.world import World
from support.gateway.fake import FakeGateway
from support.product.app import client_of, error_of, served_product
from support.product.operations import Operation, list_operations
from support.product.sessions import add_operator, http_client

NOTHING_READ: Final = {
    "first_page",
    "getInstallationHealth",
    "health_page",
    "health_part",
    "listOperatorKeys",
    "keys_page",
}
"""What operators look at that is of no person and no company; exporting the log is an action of its own."""
READINGS: Final = [each for each in list_operations() if "operator_only" in each.guards and not each.is_unsafe]


class Minutes:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def an_actor() -> Actor:
    user_id = uuid4()
    return Actor("user", str(user_id), user_id, uuid4())


async def test_300_refusals_are_two_rows(world: World, database_url: str, module_gateway: FakeGateway) -> None:
    member = await world.person()
    async with (
        served_product(database_url, module_gateway.url) as url,
        client_of(url, member) as client,
    ):
        for _ in range(300):
            refused = await client.http.post("/v1/company/api-keys", json={"name": "x", "scopes": ["admin"]})
            assert refused.status_code == 403
        first = await world.row("SELECT * FROM audit_log WHERE actor_user_id = $1", member.user_id)
        assert (first["count"], first["outcome"]) == (1, "refused")
    # A process that ends writes what it has counted.
    rows = await world.rows("SELECT * FROM audit_log WHERE actor_user_id = $1 ORDER BY at", member.user_id)
    assert sum(row["count"] for row in rows) == 300
    assert len(rows) <= 4  # two for each minute that it took
    assert {row["reason"] for row in rows} == {first["reason"]}


async def test_a_count_is_written_when_its_minute_is_over(world: World) -> None:
    clock, actor = Minutes(), an_actor()
    tallies = Tallies(transaction_factory(world.database), clock=clock)
    user_ids = [str(uuid4()) for _ in range(4)]
    for user_id in user_ids:
        await tallies.record(actor, Action.USER_BLOCK, targets={"user_id": user_id}, refusal="operator_required")

    async def counts() -> list[int]:
        rows = await world.rows("SELECT count FROM audit_log WHERE actor_id = $1 ORDER BY at, id", actor.id)
        return [row["count"] for row in rows]

    await tallies.settle()
    assert await counts() == [1]
    clock.now += timedelta(minutes=1)
    await tallies.settle()
    await tallies.settle()
    assert await counts() == [1, 3]
    row = await world.row("SELECT * FROM audit_log WHERE actor_id = $1 AND count = 3", actor.id)
    assert sorted(row["target_ids"]) == sorted(user_ids[1:])
    await tallies.record(actor, Action.USER_BLOCK, targets={"user_id": user_ids[0]}, refusal="operator_required")
    assert await counts() == [1, 3, 1]


async def test_a_next_minute_settles_the_one_before(world: World) -> None:
    clock, actor = Minutes(), an_actor()
    tallies = Tallies(transaction_factory(world.database), clock=clock)
    for minutes in (0, 0, 2):
        clock.now += timedelta(minutes=minutes)
        await tallies.record(actor, Action.AUDIT_READ, targets={})
    rows = await world.rows("SELECT count, after FROM audit_log WHERE actor_id = $1 ORDER BY at, id", actor.id)
    assert [row["count"] for row in rows] == [1, 1, 1]


async def test_different_deeds_and_actors_are_counted_apart(world: World) -> None:
    tallies = Tallies(transaction_factory(world.database), clock=Minutes())
    one, another = an_actor(), an_actor()
    for actor in (one, another):
        for action in (Action.USER_READ, Action.AUDIT_READ):
            await tallies.record(actor, action, targets={})
    rows = await world.rows("SELECT action FROM audit_log WHERE actor_id = ANY($1)", [one.id, another.id])
    assert len(rows) == 4


async def test_what_cannot_be_written_is_counted_later(world: World) -> None:
    clock, actor = Minutes(), an_actor()
    tallies = Tallies(transaction_factory(world.database), clock=clock)
    for _ in range(3):
        await tallies.record(actor, Action.AUDIT_READ, targets={})
    await world.rows("ALTER TABLE audit_log RENAME TO audit_log_elsewhere")
    clock.now += timedelta(minutes=1)
    try:
        with pytest.raises(Exception, match="audit_log"):
            await tallies.settle()
        with pytest.raises(Exception, match="audit_log"):
            await tallies.record(actor, Action.AUDIT_READ, targets={})
    finally:
        await world.rows("ALTER TABLE audit_log_elsewhere RENAME TO audit_log")
    await tallies.settle()
    row = await world.row("SELECT sum(count) AS counted FROM audit_log WHERE actor_id = $1", actor.id)
    assert row["counted"] == 3


@pytest.mark.parametrize("operation", READINGS, ids=lambda operation: f"{operation.method} {operation.path}")
async def test_what_an_operator_reads_is_recorded(world: World, product_url: str, operation: Operation) -> None:
    _, key = await add_operator(world)
    person = await world.person()
    path = operation.path.format(company_id=person.company_id, user_id=person.user_id)
    async with http_client(product_url, key=key) as http:
        assert (await http.request(operation.method, path, follow_redirects=False)).status_code < 400
    operator = await world.row("SELECT user_id FROM api_keys WHERE prefix = $1", key[:12])
    rows = await world.rows("SELECT * FROM audit_log WHERE actor_user_id = $1", operator["user_id"])
    if operation.name in NOTHING_READ or operation.name.startswith("head"):
        assert rows == []
        return
    (row,) = rows
    assert row["action"] == operation.opt.get("reads", operation.opt.get("audited"))
    assert (row["actor_kind"], row["outcome"]) == ("operator", "ok")
    if "{company_id" in operation.path:
        assert row["company_id"] == person.company_id
    if "{user_id" in operation.path:
        assert row["target_ids"] == [str(person.user_id)]


async def test_a_search_is_recorded_by_ids_and_without_its_text(world: World, product_url: str) -> None:
    operator_id, key = await add_operator(world)
    company_id = uuid4()
    async with http_client(product_url, key=key) as http:
        answer = await http.get("/admin/users", params={"search": "anna@", "company_id": str(company_id)})
        assert answer.status_code == 200
        assert error_of(await http.get("/admin/audit", params={"company_id": "none"})) == (400, "invalid_request")
    first, second = await world.rows("SELECT * FROM audit_log WHERE actor_user_id = $1 ORDER BY at", operator_id)
    assert first["target_ids"] == [str(company_id)]
    assert "anna" not in str(first)
    assert second["targets"] == "{}"
