"""The keys that a company's programs use."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from b2b_chat.product.identity.key_form import is_well_formed
from support.database.world import Person, World
from support.product.app import error_of
from support.product.sessions import http_client, session_client

PATH = "/v1/company/api-keys"


@pytest_asyncio.fixture
async def admin(world: World) -> Person:
    return await world.person(role="admin")


@pytest_asyncio.fixture
async def http(product_url: str, world: World, admin: Person) -> AsyncIterator[httpx.AsyncClient]:
    async with session_client(product_url, world, admin) as http:
        yield http


async def create(http: httpx.AsyncClient, *scopes: str, **more: object) -> dict[str, Any]:
    answer = await http.post(PATH, json={"name": "robot", "scopes": scopes or ["read"], **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def status(url: str, key: str, path: str = "/v1/balance") -> int:
    async with http_client(url, key=key) as client:
        return (await client.get(path)).status_code


async def test_a_key_is_shown_once_and_works(product_url: str, admin: Person, http: httpx.AsyncClient) -> None:
    made = await create(http, "read")
    key, shown = made["key"], made["api_key"]
    assert is_well_formed(key)
    assert re.fullmatch(r"b2b_[0-9a-f]{48}", key)
    assert key.startswith(shown["prefix"])
    assert shown["user_id"] == str(admin.user_id)
    assert await status(product_url, key) == 200
    listed = (await http.get(PATH)).json()["items"]
    assert {item["id"]: item for item in listed}[shown["id"]] == shown
    assert key not in str(listed)


async def test_a_key_does_what_its_scopes_allow_and_no_more(product_url: str, http: httpx.AsyncClient) -> None:
    reading = (await create(http, "read"))["key"]
    assert await status(product_url, reading, PATH) == 403
    managing = (await create(http, "admin"))["key"]
    assert await status(product_url, managing, PATH) == 200
    assert await status(product_url, managing) == 403


async def test_a_member_makes_no_keys(world: World, product_url: str) -> None:
    async with session_client(product_url, world, await world.person()) as http:
        refused = await http.post(PATH, json={"name": "mine", "scopes": ["read"]})
    assert error_of(refused) == (403, "scope_missing")


async def test_a_revoked_key_is_dead_and_stays_listed(product_url: str, http: httpx.AsyncClient) -> None:
    made = await create(http)
    path = f"{PATH}/{made['api_key']['id']}"
    assert (await http.delete(path)).status_code == 204
    assert await status(product_url, made["key"]) == 401
    listed = {item["id"]: item for item in (await http.get(PATH)).json()["items"]}
    revoked_at = listed[made["api_key"]["id"]]["revoked_at"]
    assert revoked_at is not None
    assert (await http.delete(path)).status_code == 204
    listed = {item["id"]: item for item in (await http.get(PATH)).json()["items"]}
    assert listed[made["api_key"]["id"]]["revoked_at"] == revoked_at
    assert error_of(await http.delete(f"{PATH}/{uuid4()}")) == (404, "api_key_not_found")


async def test_a_key_expires(world: World, product_url: str, http: httpx.AsyncClient) -> None:
    made = await create(http, expires_in_days=90)
    expires_at = datetime.fromisoformat(made["api_key"]["expires_at"])
    assert timedelta(days=89, hours=23) < expires_at - datetime.now(UTC) <= timedelta(days=90)
    assert await status(product_url, made["key"]) == 200
    await world.rows("UPDATE api_keys SET expires_at = now() WHERE id = $1", UUID(made["api_key"]["id"]))
    assert await status(product_url, made["key"]) == 401


async def test_a_company_lists_its_keys_by_pages(http: httpx.AsyncClient) -> None:
    made = [(await create(http))["api_key"]["id"] for _ in range(5)]
    listed: list[str] = []
    parameters: dict[str, Any] = {"limit": 2}
    while True:
        page = (await http.get(PATH, params=parameters)).json()
        listed += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        parameters["cursor"] = page["next_cursor"]
    assert len(set(listed)) == len(listed) == 6  # and the admin's own
    assert [api_key_id for api_key_id in listed if api_key_id in made] == made[::-1]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "scopes": ["read"]},
        {"name": " ", "scopes": ["read"]},
        {"name": "\u200b\u3164", "scopes": ["read"]},
        {"name": "x" * 101, "scopes": ["read"]},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["everything"]},
        {"name": "x", "scopes": ["read"], "expires_in_days": 0},
        {"name": "x", "scopes": ["read"], "expires_in_days": 3651},
        {"name": "x", "scopes": ["read"], "key": "b2b_mine"},
    ],
)
async def test_a_body_that_is_no_key_is_refused(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert error_of(await http.post(PATH, json=body)) == (400, "invalid_request")
