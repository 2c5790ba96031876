"""The ledger as a list and as a file."""

import csv
import io
import json
from codecs import BOM_UTF8
from datetime import UTC, datetime
from typing import Any

from support.database.charges import charge
from support.database.world import Person, World
from support.product.app import Client, error_of


async def get(client: Client, path: str, **parameters: Any) -> Any:
    answer = await client.http.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_export_is_the_ledger(admin: Client, world: World, owner: Person) -> None:
    for _ in range(3):
        await admin.ask()
    for number in range(600):  # more than are read at once
        await world.top_up(owner.company_id, str(number + 1))
    ledger: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await get(admin, "/v1/ledger", limit=100, **cursor)
        ledger += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    lines = await admin.http.get("/v1/ledger/export")
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    assert lines.headers["content-disposition"] == 'attachment; filename="ledger.ndjson"'
    assert [json.loads(line) for line in lines.text.splitlines()] == ledger
    assert len(ledger) == 604
    table = await admin.http.get("/v1/ledger/export", params={"format": "csv"})
    assert table.headers["content-type"].startswith("text/csv")
    assert table.content.startswith(BOM_UTF8)
    rows = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
    assert rows == [{name: "" if value is None else str(value) for name, value in entry.items()} for entry in ledger]


async def test_the_ledger_and_its_export_have_the_same_filters(admin: Client, world: World, owner: Person) -> None:
    for day in range(1, 5):
        await charge(world, owner, datetime(2026, 3, day, 12, tzinfo=UTC), str(day))
    await world.top_up(owner.company_id, "7")

    async def amounts(**wanted: str) -> list[str]:
        exported = await admin.http.get("/v1/ledger/export", params=wanted)
        found = [json.loads(line) for line in exported.text.splitlines()]
        assert (await get(admin, "/v1/ledger", limit=100, **wanted))["items"] == found
        return [entry["amount_credits"].split(".")[0] for entry in found]

    assert await amounts(first_day="2026-03-02", last_day="2026-03-03") == ["-3", "-2"]
    assert await amounts(last_day="2026-03-01") == ["-1"]
    assert await amounts(first_day="2026-03-03", last_day="2026-03-02") == []
    assert await amounts(kind="charge", last_day="2026-03-02") == ["-2", "-1"]
    assert await amounts(kind="charge") == ["-4", "-3", "-2", "-1"]
    assert "7" in await amounts(kind="top_up")
    assert await amounts(kind="adjustment") == []
    for path in ("/v1/ledger", "/v1/ledger/export"):
        for wrong in ({"first_day": "yesterday"}, {"last_day": "2026-02-30"}, {"kind": "gift"}, {"kind": ""}):
            assert error_of(await admin.http.get(path, params=wrong))[0] == 400
    assert error_of(await admin.http.get("/v1/ledger/export", params={"format": "xlsx"}))[0] == 400


async def test_filtered_pages_make_the_whole(admin: Client, world: World, owner: Person) -> None:
    for day in range(1, 6):
        await charge(world, owner, datetime(2026, 3, day, 12, tzinfo=UTC), str(day))
        await world.top_up(owner.company_id, "1")
    amounts: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await get(admin, "/v1/ledger", limit=2, kind="charge", first_day="2026-03-02", **cursor)
        amounts += [entry["amount_credits"].split(".")[0] for entry in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert amounts == ["-5", "-4", "-3", "-2"]


async def test_an_external_id_is_no_formula(admin: Client, world: World, owner: Person) -> None:
    await world.rows(
        "WITH moved AS (UPDATE accounts SET balance_credits = balance_credits + 1, entries = entries + 1 "
        "WHERE company_id = $1 RETURNING entries, balance_credits) "
        "INSERT INTO ledger (company_id, position, kind, amount_credits, balance_after_credits, external_id) "
        "SELECT $1, entries, 'top_up', 1, balance_credits, $2 FROM moved",
        owner.company_id,
        "=1+1",
    )
    table = await admin.http.get("/v1/ledger/export", params={"format": "csv"})
    first = next(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
    assert (first["external_id"], first["amount_credits"]) == ("'=1+1", "1.000000")


async def test_an_export_for_excel_has_its_commas(admin: Client, owner: Person, world: World) -> None:
    await world.top_up(owner.company_id, "1234.5")
    asked = {"format": "csv", "dialect": "excel"}
    table = await admin.http.get("/v1/ledger/export", params=asked)
    assert table.content.startswith(BOM_UTF8)
    first = next(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig")), delimiter=";"))
    entry = (await get(admin, "/v1/ledger"))["items"][0]
    assert first["amount_credits"] == "1234,500000"
    assert first["balance_after_credits"] == entry["balance_after_credits"].replace(".", ",")
    assert first["created_at"] == entry["created_at"].replace("T", " ")[:19]
    assert error_of(await admin.http.get("/v1/ledger/export", params={**asked, "dialect": "lotus"}))[0] == 400
    lines = await admin.http.get("/v1/ledger/export", params={"dialect": "excel"})
    assert json.loads(lines.text.splitlines()[0])["amount_credits"] == "1234.500000"
