"""How product_api behaves as an HTTP server: other websites, HEAD, ETag, doubled slashes, deprecated operations."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import httpx
import pytest
from litestar import Litestar, get

from b2b_chat.kit.deprecation import deprecated
from b2b_chat.kit.settings import SettingsError
from b2b_chat.product.configuration import load_settings
from support.database.world import Person
from support.product.app import Client, client_of, environ, served_product

FRIEND = "https://app.example.com"


@asynccontextmanager
async def served(database_url: str, person: Person | None = None, **settings: str) -> AsyncIterator[Client]:
    async with (
        served_product(database_url, "http://127.0.0.1:9", **settings) as url,
        client_of(url, person) as client,
    ):
        yield client


async def test_no_other_website_may_call_unless_it_is_named(client: Client) -> None:
    answer = await client.http.get("/v1/balance", headers={"Origin": FRIEND})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_named_website_may_call_with_a_key(database_url: str, person: Person) -> None:
    async with served(database_url, person, cors_allowed_origins=f"{FRIEND}, http://localhost:3000") as client:
        asking = {
            "Origin": FRIEND,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        async with httpx.AsyncClient(base_url=client.http.base_url) as browser:
            preflight = await browser.options("/v1/chat", headers=asking)
            stranger = await browser.options("/v1/chat", headers=asking | {"Origin": "https://evil.example.com"})
            elsewhere = await browser.options("/auth/logout", headers=asking)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == FRIEND
        assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
        assert "PATCH" in preflight.headers["access-control-allow-methods"]
        for each in (stranger, elsewhere):
            assert "access-control-allow-origin" not in each.headers
        answer = await client.http.get("/v1/balance", headers={"Origin": FRIEND})
        assert answer.headers["access-control-allow-origin"] == FRIEND
        assert "Origin" in answer.headers["vary"]
        read = answer.headers["access-control-expose-headers"]
        assert all(name in read for name in ("X-Request-ID", "Retry-After", "RateLimit", "RateLimit-Policy"))
        failed = await client.http.get("/v1/nothing", headers={"Origin": FRIEND})
        assert (failed.status_code, failed.headers["access-control-allow-origin"]) == (404, FRIEND)


async def test_nothing_is_shown_to_a_page_that_sends_a_cookie(database_url: str, person: Person) -> None:
    async with served(database_url, person, cors_allowed_origins=FRIEND) as client:
        async with httpx.AsyncClient(base_url=client.http.base_url) as browser:
            without_key = await browser.get("/v1/balance", headers={"Origin": FRIEND})
        answers = [
            await client.http.get("/v1/balance", headers={"Origin": FRIEND, "Cookie": "session=abc"}),
            await client.http.get("/v1/balance", headers={"Origin": "https://evil.example.com"}),
            without_key,
        ]
        for answer in answers:
            assert "access-control-allow-origin" not in answer.headers
            assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origins", ["*", "app.example.com", "https://app.example.com/path", "ftp://app.example.com"])
def test_what_is_no_website_stops_the_start(origins: str) -> None:
    with pytest.raises(SettingsError, match="CORS_ALLOWED_ORIGINS"):
        load_settings(environ("postgresql://unused", "http://127.0.0.1:9", CORS_ALLOWED_ORIGINS=origins))


@pytest.mark.parametrize("path", ["/v1/balance", "/v1/conversations", "/health", "/docs", "/sign-in", "/nowhere"])
async def test_head_is_get_without_the_body(client: Client, path: str) -> None:
    whole, head = await client.http.get(path), await client.http.head(path)
    assert head.status_code == whole.status_code
    assert head.content == b""
    for name in ("content-type", "etag", "cache-control"):
        assert head.headers.get(name) == whole.headers.get(name), name
    if "content-encoding" not in whole.headers:
        assert head.headers["content-length"] == str(len(whole.content))


async def test_head_of_a_stream_ends(client: Client) -> None:
    answer = await client.ask("Hello")
    head = await client.http.head(f"/v1/chat/{answer['assistant_message_id']}/events")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")


async def test_options_names_head(client: Client) -> None:
    assert "HEAD" in (await client.http.options("/v1/conversations")).headers["allow"]
    assert "HEAD" not in (await client.http.options("/v1/chat")).headers["allow"]


async def test_a_list_that_has_not_changed_is_not_sent_again(client: Client) -> None:
    await client.ask("Hello")
    first = await client.http.get("/v1/conversations")
    tag = first.headers["etag"]
    again = await client.http.get("/v1/conversations", headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    assert again.headers["x-request-id"]
    await client.ask("And another one")
    changed = await client.http.get("/v1/conversations", headers={"If-None-Match": tag})
    assert (changed.status_code, changed.headers["etag"] != tag) == (200, True)


async def test_what_failed_and_what_is_no_json_has_no_tag(client: Client) -> None:
    assert "etag" not in (await client.http.get("/v1/conversations/nothing")).headers
    assert "etag" not in (await client.http.get("/docs")).headers


@pytest.mark.parametrize("path", ["//v1/conversations", "/v1//conversations", "/v1/conversations//", "//health"])
async def test_a_doubled_slash_is_another_address(client: Client, path: str) -> None:
    url = f"{str(client.http.base_url).rstrip('/')}{path}"
    answer = await client.http.get(url)
    assert answer.status_code == 404
    assert answer.json()["detail"]["code"] == "not_found"


async def test_a_deprecated_operation_says_so_everywhere() -> None:
    @get("/old", **deprecated(since=date(2027, 1, 1), sunset=date(2027, 7, 1), replacement="/v1/new"))
    async def old() -> str:
        """Return what is old."""
        return "old"

    app: Any = Litestar([old])
    assert app.openapi_schema.to_schema()["paths"]["/old"]["get"]["deprecated"] is True
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        answer = await http.get("/old")
    assert answer.headers["deprecation"] == "@1798761600"
    assert answer.headers["sunset"] == "Thu, 01 Jul 2027 00:00:00 GMT"
    assert answer.headers["link"] == '</v1/new>; rel="successor-version"'
