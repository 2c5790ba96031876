"""Operators find and block people, and make and remove operators."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from b2b_chat.product.audit.actors import command_line_actor
from b2b_chat.product.operators.service import OperatorNotFound, Operators
from b2b_chat.product.transactions import transaction_factory
from support.database.world import World
from support.product.app import client_of, error_of
from support.product.sessions import add_operator, add_session, add_user, http_client


async def test_people_are_found_by_address_and_by_company(world: World, http: httpx.AsyncClient) -> None:
    mark = uuid4().hex
    for number in range(3):
        await add_user(world, f"person{number}.{mark}@example.test")
    found = (await http.get("/admin/users", params={"search": mark.upper(), "limit": 2})).json()
    more = (await http.get("/admin/users", params={"search": mark, "cursor": found["next_cursor"]})).json()
    assert len(found["items"]) == 2
    assert len(more["items"]) == 1
    assert more["next_cursor"] is None

    owner = await world.person(role="owner")
    member = await world.person(company_id=owner.company_id)
    shown = (await http.get("/admin/users", params={"company_id": str(owner.company_id)})).json()["items"]
    assert {user["id"] for user in shown} == {str(owner.user_id), str(member.user_id)}
    one = (await http.get(f"/admin/users/{owner.user_id}")).json()
    assert one in shown
    assert one["is_operator"] is False
    assert one["memberships"] == [
        {"company_id": str(owner.company_id), "company_name": "A company", "role": "owner", "blocked_at": None}
    ]


async def test_a_blocked_person_can_do_nothing_anywhere_until_unblocked(
    world: World, product_url: str, http: httpx.AsyncClient
) -> None:
    person = await world.person(role="owner")
    session = await add_session(world, person.user_id, person.company_id)
    blocked = (await http.post(f"/admin/users/{person.user_id}/block")).json()
    assert blocked["blocked_at"] is not None
    assert (await http.post(f"/admin/users/{person.user_id}/block")).json() == blocked
    async with client_of(product_url, person) as client, http_client(product_url, session=session) as browser:
        assert error_of(await client.http.get("/v1/balance")) == (403, "user_blocked")
        assert error_of(await browser.get("/v1/me")) == (401, "unauthenticated")
        assert (await http.post(f"/admin/users/{person.user_id}/unblock")).json()["blocked_at"] is None
        assert (await client.http.get("/v1/balance")).status_code == 200
        assert error_of(await browser.get("/v1/me")) == (401, "unauthenticated")


async def test_an_unknown_person(http: httpx.AsyncClient) -> None:
    path = f"/admin/users/{uuid4()}"
    for method, more in (("GET", ""), ("POST", "/block"), ("POST", "/unblock")):
        assert error_of(await http.request(method, path + more)) == (404, "user_not_found")


ADMIN_READS = ("/admin/companies", "/admin/users", "/admin/audit", "/admin/audit/export")


async def test_an_operator_comes_in_by_session_too(world: World, product_url: str) -> None:
    user_id, _ = await add_operator(world)
    async with http_client(product_url, session=await add_session(world, user_id)) as browser:
        for path in ADMIN_READS:
            assert (await browser.get(path)).status_code == 200


async def test_others_do_not_come_in(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    session = await add_session(world, owner.user_id, owner.company_id)
    async with client_of(product_url, owner) as client, http_client(product_url, session=session) as browser:
        for path in ADMIN_READS:
            for caller in (client.http, browser):
                assert error_of(await caller.get(path)) == (403, "operator_required")
    async with http_client(product_url) as nobody:
        for path in ADMIN_READS:
            assert error_of(await nobody.get(path)) == (401, "unauthenticated")


async def test_an_operators_key_of_a_company_is_no_operators_key(world: World, product_url: str) -> None:
    person = await world.person(role="owner")
    await world.rows("INSERT INTO operators (user_id) VALUES ($1)", person.user_id)
    async with client_of(product_url, person) as client:
        assert error_of(await client.http.get("/admin/users")) == (403, "operator_required")


async def test_an_operators_key_opens_no_company(http: httpx.AsyncClient) -> None:
    for path in ("/v1/balance", "/v1/conversations", "/v1/company/members", "/v1/company/audit"):
        assert error_of(await http.get(path)) == (403, "no_company")


async def test_an_operator_is_made_and_removed(world: World, product_url: str) -> None:
    operators = Operators(transaction_factory(world.database))
    email = f"{uuid4()}@example.test"
    first = await operators.create(command_line_actor(), email.upper(), expires_in_days=1)
    second = await operators.create(command_line_actor(), email, expires_in_days=1)
    assert first.user_id == second.user_id
    session = await add_session(world, first.user_id)

    async def statuses() -> list[int]:
        credentials: list[dict[str, Any]] = [{"key": first.key}, {"key": second.key}, {"session": session}]
        answers = []
        for credential in credentials:
            async with http_client(product_url, **credential) as client:
                answers.append((await client.get("/admin/users")).status_code)
        return answers

    assert await statuses() == [200, 200, 200]
    await operators.remove(command_line_actor(), email)
    assert await statuses() == [401, 401, 401]
    with pytest.raises(OperatorNotFound):
        await operators.remove(command_line_actor(), email)
    # The old keys do not come back with the right.
    await operators.create(command_line_actor(), email, expires_in_days=1)
    assert await statuses() == [401, 401, 401]
