"""Companies, as operators set them up, find and block them."""

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from support.database.world import World
from support.product.app import client_of, error_of
from support.product.sessions import add_session, http_client


async def create(http: httpx.AsyncClient, name: str, owner_email: str | None = None) -> dict[str, Any]:
    body = {"name": name, "owner_email": owner_email or f"{uuid4()}@example.test"}
    answer = await http.post("/admin/companies", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_company_is_created_with_its_owner_and_an_empty_account(
    world: World, product_url: str, http: httpx.AsyncClient
) -> None:
    email = f"Anna.{uuid4()}@Example.test"
    made = await create(http, "Acme & Söhne", email)
    assert made["name"] == "Acme & Söhne"
    owner = await world.row(
        "SELECT users.id, role FROM users JOIN memberships ON user_id = users.id WHERE email = $1 AND company_id = $2",
        email.lower(),
        UUID(made["id"]),
    )
    assert owner["role"] == "owner"
    session = await add_session(world, owner["id"], UUID(made["id"]))
    async with http_client(product_url, session=session) as browser:
        balance = (await browser.get("/v1/balance")).json()
    assert {name: Decimal(amount) for name, amount in balance.items()} == {
        "balance_credits": 0,
        "held_credits": 0,
        "available_credits": 0,
    }


async def test_one_person_may_own_two_companies(http: httpx.AsyncClient) -> None:
    email = f"{uuid4()}@example.test"
    first, second = await create(http, "One", email), await create(http, "Two", email)
    found = (await http.get("/admin/users", params={"search": email})).json()["items"]
    assert [membership["company_id"] for membership in found[0]["memberships"]] == [first["id"], second["id"]]
    assert len(found) == 1


async def test_companies_are_found_by_a_part_of_the_name(http: httpx.AsyncClient) -> None:
    mark = uuid4().hex
    made = [await create(http, f"Пекарня {mark} {number}") for number in range(5)]
    await create(http, "Something else")
    shown: list[dict[str, Any]] = []
    parameters: dict[str, Any] = {"search": f"пекарня {mark.upper()}", "limit": 2}
    while True:
        page = (await http.get("/admin/companies", params=parameters)).json()
        shown += page["items"]
        if page["next_cursor"] is None:
            break
        parameters["cursor"] = page["next_cursor"]
    assert [company["id"] for company in shown] == [company["id"] for company in made[::-1]]
    assert Decimal(shown[0]["balance_credits"]) == 0
    assert (await http.get(f"/admin/companies/{shown[0]['id']}")).json() == shown[0]
    for search in (f"пекарня\u00a0{mark}", f"ПЕКАРНЯ {mark}"):
        assert len((await http.get("/admin/companies", params={"search": search})).json()["items"]) == 5
    for pattern in ("%", "_", "\\", ".", "[", "(.*)"):
        assert (await http.get("/admin/companies", params={"search": pattern})).json()["items"] == []


async def test_a_company_that_is_not_there(http: httpx.AsyncClient) -> None:
    path = f"/admin/companies/{uuid4()}"
    for method, more in (("GET", ""), ("POST", "/block"), ("POST", "/unblock")):
        assert error_of(await http.request(method, path + more)) == (404, "company_not_found")


async def test_no_one_acts_in_a_blocked_company_until_it_is_unblocked(
    world: World, product_url: str, http: httpx.AsyncClient
) -> None:
    owner = await world.person(role="owner")
    session = await add_session(world, owner.user_id, owner.company_id)
    path = f"/admin/companies/{owner.company_id}"
    blocked = (await http.post(f"{path}/block")).json()
    assert blocked["blocked_at"] is not None
    assert (await http.post(f"{path}/block")).json() == blocked
    async with client_of(product_url, owner) as client, http_client(product_url, session=session) as browser:
        for caller in (client.http, browser):
            assert error_of(await caller.get("/v1/balance")) == (403, "company_blocked")
        assert (await http.post(f"{path}/unblock")).json()["blocked_at"] is None
        for caller in (client.http, browser):
            assert (await caller.get("/v1/balance")).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Acme"},
        {"name": "", "owner_email": "a@example.test"},
        {"name": "x" * 201, "owner_email": "a@example.test"},
        {"name": "two\nlines", "owner_email": "a@example.test"},
        {"name": "Acme", "owner_email": "nobody"},
    ],
)
async def test_a_body_that_is_no_company_is_refused(http: httpx.AsyncClient, body: dict[str, str]) -> None:
    assert error_of(await http.post("/admin/companies", json=body)) == (400, "invalid_request")
