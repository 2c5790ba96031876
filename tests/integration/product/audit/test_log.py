"""The audit log itself: it cannot be changed, and it is found by company, actor, action, target and time."""

import asyncio
import csv
import io
import json
import re
import tracemalloc
from codecs import BOM_UTF8
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio
from sqlalchemy.exc import ProgrammingError

from b2b_chat.kit.exports import ExportFormat
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import Actor, command_line_actor
from b2b_chat.product.audit.export import CSV_COLUMNS, export_head
from b2b_chat.product.audit.schemas import AuditFilter
from b2b_chat.product.audit.service import Audit, record_action
from b2b_chat.product.transactions import transaction_factory
from support.database.world import World
from support.product.app import client_of, error_of
from support.product.sessions import add_operator, http_client


@pytest_asyncio.fixture
async def http(world: World, product_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """An operator's client."""
    _, key = await add_operator(world)
    async with http_client(product_url, key=key) as http:
        yield http


async def record(world: World, actor: Actor, action: Action, **targets: UUID | str) -> None:
    async with transaction_factory(world.database)() as tx:
        await record_action(tx, actor, action, targets=targets)


def an_actor() -> Actor:
    user_id = uuid4()
    return Actor("user", str(user_id), user_id, uuid4())


async def found(http: httpx.AsyncClient, **wanted: object) -> list[dict[str, Any]]:
    """All records that match, by pages of two."""
    records: list[dict[str, Any]] = []
    parameters = {name: str(value) for name, value in wanted.items()} | {"limit": "2"}
    while True:
        answer = await http.get("/admin/audit", params=parameters)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        records += page["items"]
        if page["next_cursor"] is None:
            return records
        assert len(page["items"]) == 2
        parameters["cursor"] = page["next_cursor"]


async def exported(http: httpx.AsyncClient, **wanted: object) -> httpx.Response:
    answer = await http.get("/admin/audit/export", params={name: str(value) for name, value in wanted.items()})
    assert answer.status_code == 200
    return answer


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET outcome = 'ok'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "INSERT INTO audit_log SELECT * FROM audit_log ON CONFLICT (id) DO UPDATE SET actor_id = 'nobody'",
    ],
)
async def test_a_row_cannot_be_changed_or_deleted(world: World, statement: str) -> None:
    await record(world, command_line_actor(), Action.COMPANY_BLOCK, company_id=uuid4())
    before = await world.rows("SELECT * FROM audit_log ORDER BY id")
    with pytest.raises(asyncpg.RestrictViolationError, match="audit_log is append-only"):
        await world.rows(statement)
    assert await world.rows("SELECT * FROM audit_log ORDER BY id") == before


async def test_a_row_and_its_action_stand_or_fall_together(world: World) -> None:
    marker = str(uuid4())

    async def fail_after_recording() -> None:
        async with transaction_factory(world.database)() as tx:
            await record_action(tx, command_line_actor(), Action.COMPANY_BLOCK, targets={"marker": marker})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after_recording()
    assert await world.rows("SELECT FROM audit_log WHERE target_ids @> ARRAY[$1]", marker) == []


async def test_what_a_record_holds(world: World, product_url: str, http: httpx.AsyncClient) -> None:
    owner = await world.person(role="owner")
    member = await world.person(company_id=owner.company_id, role="owner")
    async with client_of(product_url, owner) as client:
        await client.http.patch(
            f"/v1/company/members/{member.user_id}", json={"role": "admin"}, headers={"X-Request-ID": "the-request"}
        )
    key = await world.row("SELECT id FROM api_keys WHERE user_id = $1", owner.user_id)
    (told,) = await found(http, target=member.user_id)
    assert re.fullmatch("[0-9a-f]{32}", told.pop("request_id"))  # no client can choose it
    at, record_id = datetime.fromisoformat(told.pop("at")), UUID(told.pop("id"))
    assert record_id.version == 7
    assert timedelta() <= datetime.now(UTC) - at < timedelta(minutes=1)
    assert told == {
        "company_id": str(owner.company_id),
        "actor": {"kind": "api_key", "id": str(key["id"]), "user_id": str(owner.user_id)},
        "action": "member.change_role",
        "outcome": "ok",
        "reason": None,
        "client_request_id": "the-request",
        "count": 1,
        "targets": {"user_id": str(member.user_id)},
        "before": {"role": "owner", "blocked_at": None},
        "after": {"role": "admin", "blocked_at": None},
    }


async def test_records_are_found_by_each_of_their_sides(world: World, http: httpx.AsyncClient) -> None:
    actor, invite_id = an_actor(), uuid4()
    key_id = str(uuid4())
    by_key = Actor("api_key", key_id, actor.user_id, actor.company_id)
    await record(world, actor, Action.INVITE_CREATE, invite_id=invite_id)
    await record(world, by_key, Action.INVITE_REVOKE, invite_id=invite_id)
    await record(world, an_actor(), Action.INVITE_CREATE, invite_id=uuid4())

    def actions(records: list[dict[str, Any]]) -> list[str]:
        return [told["action"] for told in records]

    assert actions(await found(http, company_id=actor.company_id)) == ["invite.revoke", "invite.create"]
    assert actions(await found(http, actor=actor.id)) == ["invite.create"]
    assert actions(await found(http, actor=key_id)) == ["invite.revoke"]
    assert actions(await found(http, user_id=actor.user_id)) == ["invite.revoke", "invite.create"]
    assert actions(await found(http, target=invite_id)) == ["invite.revoke", "invite.create"]
    assert actions(await found(http, target=invite_id, action="invite.create")) == ["invite.create"]
    assert actions(await found(http, target=invite_id, actor=actor.id, action="invite.revoke")) == []
    assert len(await found(http, action="invite.create")) >= 2


async def test_records_are_found_by_time(world: World, http: httpx.AsyncClient) -> None:
    actor = an_actor()
    for _ in range(3):
        await record(world, actor, Action.INVITE_CREATE)
    newest, middle, oldest = await found(http, actor=actor.id)
    assert await found(http, actor=actor.id, since=middle["at"]) == [newest, middle]
    assert await found(http, actor=actor.id, until=middle["at"]) == [oldest]
    assert await found(http, actor=actor.id, since=middle["at"], until=newest["at"]) == [middle]
    elsewhere = datetime.fromisoformat(middle["at"]).astimezone(timezone(timedelta(hours=3)))
    assert await found(http, actor=actor.id, since=elsewhere.isoformat()) == [newest, middle]


async def test_pages_make_the_whole_even_where_many_rows_have_one_time(world: World, http: httpx.AsyncClient) -> None:
    actor = an_actor()
    async with transaction_factory(world.database)() as tx:
        for number in range(7):
            await record_action(tx, actor, Action.INVITE_CREATE, targets={"number": str(number)})
    records = await found(http, actor=actor.id)
    assert len({told["at"] for told in records}) == 1
    assert [told["targets"]["number"] for told in records] == ["6", "5", "4", "3", "2", "1", "0"]


async def test_a_cursor_of_no_record_ends_the_list(http: httpx.AsyncClient) -> None:
    assert (await http.get("/admin/audit", params={"cursor": str(uuid4())})).json() == {
        "items": [],
        "next_cursor": None,
    }


async def test_a_company_sees_its_own_records_alone(world: World, product_url: str, http: httpx.AsyncClient) -> None:
    owner = await world.person(role="owner")
    await http.post(
        f"/admin/companies/{owner.company_id}/credits", json={"amount_credits": "1", "external_id": str(uuid4())}
    )
    await record(world, an_actor(), Action.INVITE_CREATE)
    async with client_of(product_url, owner) as client:
        page = (await client.http.get("/v1/company/audit")).json()
        assert [told["action"] for told in page["items"]] == ["credits.add"]
        assert page["items"][0]["actor"]["kind"] == "operator"
        assert (await client.http.get("/v1/company/audit", params={"action": "invite.create"})).json()["items"] == []
    async with client_of(product_url, await world.person()) as client:
        assert error_of(await client.http.get("/v1/company/audit")) == (403, "scope_missing")


@pytest.mark.parametrize(
    "parameters",
    [
        {"cursor": "x"},
        {"cursor": ""},
        {"action": "nothing.such"},
        {"company_id": "x"},
        {"since": "yesterday"},
        {"since": "2026-01-01"},
        {"since": "2026-01-01T00:00:00"},
        {"until": "0.5"},
        {"target": ""},
        {"target": "two words"},
        {"limit": "0"},
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(http: httpx.AsyncClient, parameters: dict[str, str]) -> None:
    assert error_of(await http.get("/admin/audit", params=parameters)) == (400, "invalid_request")


async def test_an_export_as_ndjson_is_what_the_search_finds(world: World, http: httpx.AsyncClient) -> None:
    actor = an_actor()
    for number in range(5):
        await record(world, actor, Action.INVITE_CREATE, number=str(number))
    answer = await exported(http, actor=actor.id)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"] == 'attachment; filename="audit.ndjson"'
    assert [json.loads(line) for line in answer.text.splitlines()] == await found(http, actor=actor.id)


async def test_an_export_as_csv_has_the_same_in_columns(world: World, http: httpx.AsyncClient) -> None:
    actor = an_actor()
    await record(world, actor, Action.INVITE_CREATE, note='=HYPERLINK("x"), "quoted"\nnew line')
    answer = await exported(http, actor=actor.id, format="csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(BOM_UTF8)
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    (told,) = await found(http, actor=actor.id)
    assert list(rows[0]) == list(CSV_COLUMNS)
    assert rows[0]["id"] == told["id"]
    assert rows[0]["actor_user_id"] == str(actor.user_id)
    assert json.loads(rows[0]["targets"]) == told["targets"]
    assert rows[0]["before"] == ""


async def test_an_export_is_recorded(http: httpx.AsyncClient) -> None:
    target = str(uuid4())
    await exported(http, target=target, action="invite.create")
    newest = (await found(http, action="audit.export"))[0]
    assert newest["after"] == {"wanted": {"target": target, "action": "invite.create"}}


@asynccontextmanager
async def no_log(world: World) -> AsyncIterator[None]:
    """The log cannot be reached within the block."""
    await world.rows("ALTER TABLE audit_log RENAME TO audit_log_away")
    try:
        yield
    finally:
        await world.rows("ALTER TABLE audit_log_away RENAME TO audit_log")


async def test_an_export_that_fails_midway_is_cut(world: World) -> None:
    await record(world, command_line_actor(), Action.COMPANY_BLOCK)
    transaction = transaction_factory(world.database)
    pieces = await Audit(transaction, transaction).export(command_line_actor(), AuditFilter(), ExportFormat.CSV)
    assert await anext(pieces) == export_head(ExportFormat.CSV)
    async with no_log(world):
        with pytest.raises(ProgrammingError, match="audit_log"):
            await anext(pieces)


async def test_a_refusal_reaches_the_caller_even_when_it_cannot_be_recorded(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    async with client_of(product_url, owner) as client, no_log(world):
        assert error_of(await client.http.post(f"/admin/users/{uuid4()}/block")) == (403, "operator_required")


async def test_an_action_that_cannot_be_recorded_is_not_done(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    member = await world.person(company_id=owner.company_id)
    async with client_of(product_url, owner) as client:
        path = f"/v1/company/members/{member.user_id}"
        async with no_log(world):
            assert error_of(await client.http.delete(path)) == (500, "internal_error")
        assert (await client.http.get(path)).status_code == 200


async def test_an_export_holds_neither_memory_nor_a_connection(world: World) -> None:
    marker = str(uuid4())
    await world.rows(
        "INSERT INTO audit_log (id, actor_kind, actor_id, action, outcome, targets, target_ids) "
        "SELECT gen_random_uuid(), 'command_line', 'test', 'invite.create', 'ok', "
        "jsonb_build_object('marker', $1::text, 'filling', repeat('x', 1000)), ARRAY[$1] "
        "FROM generate_series(1, 20000)",
        marker,
    )
    transaction = transaction_factory(world.database)
    audit = Audit(transaction, transaction)
    pieces = await audit.export(command_line_actor(), AuditFilter(target=marker), ExportFormat.NDJSON)
    size = lines = 0
    tracemalloc.start()
    try:
        async for piece in pieces:
            size += len(piece)
            lines += piece.count(b"\n")
            # Others get to the database between two pieces, however slowly these are read.
            assert await asyncio.gather(*[world.rows("SELECT 1 AS one") for _ in range(4)]) == [[{"one": 1}]] * 4
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert lines == 20_000
    assert size > 20_000_000
    assert peak_bytes < size / 2
