"""Adding and adjusting credits, once per external id."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from support.database.world import World
from support.product.app import error_of


async def add(http: httpx.AsyncClient, company_id: UUID, amount: object, external_id: str) -> httpx.Response:
    body = {"amount_credits": amount, "external_id": external_id}
    return await http.post(f"/admin/companies/{company_id}/credits", json=body)


async def adjust(
    http: httpx.AsyncClient, company_id: UUID, amount: object, external_id: str, *, corrects: object = 1
) -> httpx.Response:
    body = {
        "corrects_position": corrects,
        "amount_credits": amount,
        "external_id": external_id,
        "reason": "A mistake of ours",
    }
    return await http.post(f"/admin/companies/{company_id}/credits/adjustments", json=body)


async def balance(world: World, company_id: UUID) -> Decimal:
    row = await world.row("SELECT balance_credits FROM accounts WHERE company_id = $1", company_id)
    amount: Decimal = row["balance_credits"]
    return amount


async def test_credits_are_added_with_their_entry(world: World, http: httpx.AsyncClient) -> None:
    person = await world.person(balance="0")
    invoice = f"invoice-{uuid4()}"
    entry = (await add(http, person.company_id, "12.345678", invoice)).json()
    assert entry["kind"] == "top_up"
    assert entry["external_id"] == invoice
    assert (entry["amount_credits"], entry["balance_after_credits"]) == ("12.345678", "12.345678")
    assert await balance(world, person.company_id) == Decimal("12.345678")
    await world.check_books()


async def test_the_same_external_id_again_adds_nothing(world: World, http: httpx.AsyncClient) -> None:
    person = await world.person(balance="0")
    invoice = f"invoice-{uuid4()}"
    first = (await add(http, person.company_id, "10", invoice)).json()
    await add(http, person.company_id, "5", f"invoice-{uuid4()}")
    assert (await add(http, person.company_id, "10.000000", invoice)).json() == first
    assert await balance(world, person.company_id) == Decimal(15)


async def test_one_external_id_many_times_at_once_credits_once(world: World, http: httpx.AsyncClient) -> None:
    person = await world.person(balance="0")
    invoice = f"invoice-{uuid4()}"
    answers = await asyncio.gather(*[add(http, person.company_id, "10", invoice) for _ in range(50)])
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert await balance(world, person.company_id) == Decimal(10)
    recorded = await world.rows("SELECT after FROM audit_log WHERE target_ids @> ARRAY[$1]", invoice)
    assert Counter('"is_repeated": true' in row["after"] for row in recorded) == {False: 1, True: 49}
    await world.check_books()


async def test_one_external_id_for_two_companies_at_once_credits_one(world: World, http: httpx.AsyncClient) -> None:
    for _ in range(10):
        people = [await world.person(balance="0") for _ in range(2)]
        invoice = f"invoice-{uuid4()}"
        answers = await asyncio.gather(*[add(http, person.company_id, "10", invoice) for person in people])
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        assert sorted([await balance(world, person.company_id) for person in people]) == [0, 10]


async def test_an_external_id_of_another_movement_is_a_conflict(world: World, http: httpx.AsyncClient) -> None:
    person, other = await world.person(balance="0"), await world.person(balance="0")
    invoice = f"invoice-{uuid4()}"
    await add(http, person.company_id, "10", invoice)
    for refused in (
        await add(http, person.company_id, "11", invoice),
        await add(http, other.company_id, "10", invoice),
        await adjust(http, person.company_id, "10", invoice),
    ):
        assert error_of(refused) == (409, "external_id_conflict")
    assert await balance(world, person.company_id) == Decimal(10)


async def test_a_balance_is_adjusted_up_and_down(world: World, http: httpx.AsyncClient) -> None:
    person = await world.person(balance="10")
    down = await adjust(http, person.company_id, "-4.5", f"fix-{uuid4()}")
    assert down.json()["kind"] == "adjustment"
    assert down.json()["balance_after_credits"] == "5.500000"
    await adjust(http, person.company_id, "0.5", f"fix-{uuid4()}")
    assert await balance(world, person.company_id) == Decimal(6)
    await world.check_books()


async def test_a_correction_points_at_the_entry_it_corrects(world: World, http: httpx.AsyncClient) -> None:
    person = await world.person(balance="10")
    fix = f"fix-{uuid4()}"
    first = (await adjust(http, person.company_id, "-4", fix)).json()
    assert (first["position"], first["corrects_position"]) == (2, 1)
    # A correction may itself be corrected, and is named once.
    second = (await adjust(http, person.company_id, "1", f"fix-{uuid4()}", corrects=2)).json()
    assert (second["position"], second["corrects_position"]) == (3, 2)
    conflict = await adjust(http, person.company_id, "-4", fix, corrects=2)
    assert error_of(conflict) == (409, "external_id_conflict")
    recorded = await world.rows("SELECT after FROM audit_log WHERE target_ids @> ARRAY[$1]", fix)
    assert '"corrects_position": 1' in recorded[0]["after"]
    await world.check_books()


async def test_what_is_not_in_the_ledger_is_not_corrected(world: World, http: httpx.AsyncClient) -> None:
    person, other = await world.person(balance="0"), await world.person(balance="10")
    refused = await adjust(http, person.company_id, "1", f"fix-{uuid4()}")
    assert error_of(refused) == (404, "ledger_entry_not_found"), "position 1 is another company's alone"
    assert error_of(await adjust(http, other.company_id, "1", f"fix-{uuid4()}", corrects=2)) == (
        404,
        "ledger_entry_not_found",
    )
    for position in (0, -1, 2**63, "1", None, 1.5):
        assert error_of(await adjust(http, other.company_id, "1", "x", corrects=position)) == (400, "invalid_request")
    assert await balance(world, other.company_id) == Decimal(10)


@pytest.mark.parametrize(
    ("kind", "corrects"), [("top_up", 1), ("adjustment", 2), ("adjustment", 3)], ids=["kind", "itself", "later"]
)
async def test_the_database_keeps_corrections_pointing_back(world: World, kind: str, corrects: int) -> None:
    person = await world.person(balance="10")
    entry = "INSERT INTO ledger (company_id, position, kind, amount_credits, balance_after_credits, corrects_position)"
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await world.rows(f"{entry} VALUES ($1, 2, $2, 1, 11, $3)", person.company_id, kind, corrects)


async def test_no_more_is_taken_than_is_free(world: World, http: httpx.AsyncClient) -> None:
    person = await world.person(balance="10")
    assert error_of(await adjust(http, person.company_id, "-10.000001", "over")) == (409, "balance_out_of_range")
    await world.rows("UPDATE accounts SET held_credits = 3 WHERE company_id = $1", person.company_id)
    assert error_of(await adjust(http, person.company_id, "-7.000001", "over")) == (409, "balance_out_of_range")
    assert (await adjust(http, person.company_id, "-7", f"fix-{uuid4()}")).status_code == 200
    await world.rows("UPDATE accounts SET held_credits = 0 WHERE company_id = $1", person.company_id)


async def test_withdrawals_at_once_never_take_more_than_there_is(world: World, http: httpx.AsyncClient) -> None:
    person = await world.person(balance="10")
    answers = await asyncio.gather(*[adjust(http, person.company_id, "-3", f"fix-{uuid4()}") for _ in range(8)])
    assert Counter(answer.status_code for answer in answers) == {200: 3, 409: 5}
    assert await balance(world, person.company_id) == Decimal(1)
    await world.check_books()


NO_AMOUNTS = [
    "",
    "0",
    "0.000000",
    "0.0000001",
    "NaN",
    "Infinity",
    "-Infinity",
    "1e4",
    "1000000000",
    "1.",
    ".5",
    "+1",
    5,
    "1\n",
]


@pytest.mark.parametrize("amount", [*NO_AMOUNTS, "-1"])
async def test_an_amount_that_cannot_be_added_is_refused(world: World, http: httpx.AsyncClient, amount: object) -> None:
    person = await world.person(balance="0")
    assert error_of(await add(http, person.company_id, amount, "x")) == (400, "invalid_request")
    assert await balance(world, person.company_id) == Decimal(0)


@pytest.mark.parametrize("amount", [*NO_AMOUNTS, "--1", "-", "-0"])
async def test_an_amount_that_cannot_adjust_is_refused(world: World, http: httpx.AsyncClient, amount: object) -> None:
    person = await world.person(balance="0")
    assert error_of(await adjust(http, person.company_id, amount, "x")) == (400, "invalid_request")


async def test_the_least_and_the_most(world: World, http: httpx.AsyncClient) -> None:
    person = await world.person(balance="0")
    for amount in ("0.000001", "999999999.999999"):
        entry = (await add(http, person.company_id, amount, f"x-{uuid4()}")).json()
        assert entry["amount_credits"] == amount
    assert await balance(world, person.company_id) == Decimal(10**9)


async def test_a_balance_does_not_rise_beyond_what_is_possible(world: World, http: httpx.AsyncClient) -> None:
    person = await world.person(balance="9999999999999")
    assert error_of(await add(http, person.company_id, "2", f"x-{uuid4()}")) == (409, "balance_out_of_range")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"amount_credits": "1"},
        {"amount_credits": "x", "external_id": "x"},
        {"amount_credits": "1", "external_id": ""},
        {"amount_credits": "1", "external_id": "a b"},
    ],
)
async def test_a_body_that_is_no_movement_is_refused(
    world: World, http: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    person = await world.person()
    refused = await http.post(f"/admin/companies/{person.company_id}/credits", json=body)
    assert error_of(refused) == (400, "invalid_request")


async def test_a_company_that_is_not_there_gets_nothing(http: httpx.AsyncClient) -> None:
    assert error_of(await add(http, uuid4(), "1", f"x-{uuid4()}")) == (404, "company_not_found")
    assert error_of(await adjust(http, uuid4(), "1", f"x-{uuid4()}")) == (404, "company_not_found")


async def test_the_ledger_of_a_company_is_shown_by_pages(world: World, http: httpx.AsyncClient) -> None:
    person = await world.person(balance="5")
    await add(http, person.company_id, "1", f"invoice-{uuid4()}")
    await world.person(balance="7")  # of another company
    path = f"/admin/companies/{person.company_id}/ledger"
    first = (await http.get(path, params={"limit": 1})).json()
    assert [(item["position"], item["amount_credits"]) for item in first["items"]] == [(2, "1.000000")]
    rest = (await http.get(path, params={"cursor": first["next_cursor"]})).json()
    assert [(item["position"], item["amount_credits"]) for item in rest["items"]] == [(1, "5.000000")]
    assert rest["next_cursor"] is None
    assert error_of(await http.get(f"/admin/companies/{uuid4()}/ledger")) == (404, "company_not_found")


async def test_a_companys_ledger_is_filtered_as_by_itself(world: World, http: httpx.AsyncClient) -> None:
    company_id = (await world.person(balance="5")).company_id
    await add(http, company_id, "10", f"filtered-{company_id}")
    await adjust(http, company_id, "-1", f"filtered-fix-{company_id}", corrects=2)
    path = f"/admin/companies/{company_id}/ledger"

    async def kinds(**wanted: str) -> list[str]:
        answer = await http.get(path, params=wanted)
        assert answer.status_code == 200, answer.text
        return [entry["kind"] for entry in answer.json()["items"]]

    today = datetime.now(UTC).date()
    assert await kinds() == ["adjustment", "top_up", "top_up"]
    assert await kinds(kind="adjustment") == ["adjustment"]
    assert (
        await kinds(first_day=str(today - timedelta(days=1)), last_day=str(today + timedelta(days=1))) == await kinds()
    )
    assert await kinds(last_day=str(today - timedelta(days=2))) == []
    assert (await http.get(path, params={"first_day": "2026-02-30"})).status_code == 400
