"""Request ids, health and refusals of an app on a socket."""

import asyncio
import re
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

import aiohttp
import pytest
import structlog
from litestar import Litestar, Request, Response, get
from litestar.params import FromPath
from litestar.types import Receive, Scope, Send

from b2b_chat.kit import request_id as request_id_module
from b2b_chat.kit.current_request import current_request_id
from b2b_chat.kit.errors import as_refusal
from b2b_chat.kit.health import health
from b2b_chat.kit.request_id import RequestId
from support.http.serving import serve


@get("/who", sync_to_thread=False)
def who() -> dict[str, str | None]:
    """The request id as a handler knows it."""
    return {"request_id": current_request_id.get()}


@get("/task")
async def task() -> dict[str, str | None]:
    """The request id as a task knows it that a handler starts."""

    async def ask() -> str | None:
        await asyncio.sleep(0)
        return current_request_id.get()

    return {"request_id": await asyncio.create_task(ask())}


@get("/items/{number:int}", sync_to_thread=False)
def item(number: FromPath[int]) -> int:
    """Fail for 13."""
    if number == 13:
        raise ValueError("canary")
    return number


def refuse(_: Request[Any, Any, Any], error: Exception) -> Response[dict[str, str]]:
    refusal = as_refusal(error)
    body = {"code": refusal.code, "message": refusal.message}
    return Response(body, status_code=refusal.status, headers=refusal.headers)


def create_app(*, keeps_clients_ids: bool = False) -> RequestId:
    return RequestId(
        Litestar(
            [health, who, task, item], exception_handlers={Exception: refuse}, logging_config=None, openapi_config=None
        ),
        keeps_clients_ids=keeps_clients_ids,
    )


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with serve(create_app()) as url, aiohttp.ClientSession(url) as http:
        yield http


@pytest.fixture
async def border() -> AsyncIterator[aiohttp.ClientSession]:
    """The same app where it keeps clients' ids to itself."""
    async with serve(create_app(keeps_clients_ids=True)) as url, aiohttp.ClientSession(url) as http:
        yield http


async def fetch(http: aiohttp.ClientSession, path: str, request_id: str | None = None, method: str = "GET") -> Any:
    headers = {} if request_id is None else {"X-Request-ID": request_id}
    return await http.request(method, path, headers=headers)


async def test_an_id_of_the_caller_is_kept_and_returned(http: aiohttp.ClientSession) -> None:
    for request_id in ("a", "order.66_a-b", "x" * 128):
        response = await fetch(http, "/who", request_id)
        assert response.headers["X-Request-ID"] == request_id
        assert await response.json() == {"request_id": request_id}


async def test_an_app_at_the_border_has_an_id_of_its_own_and_returns_the_clients(border: aiohttp.ClientSession) -> None:
    """What a handler knows is what it passes on and records."""
    known = set()
    for request_id in ("a", "cli-0123456789abcdef0123456789abcdef", "a"):
        response = await fetch(border, "/who", request_id)
        assert response.headers["X-Request-ID"] == request_id
        own = (await response.json())["request_id"]
        assert re.fullmatch("[0-9a-f]{32}", own)
        known.add(own)
    assert len(known) == 3
    response = await fetch(border, "/who", "a b")
    assert (await response.json())["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.parametrize("request_id", [None, "", "a b", "x" * 129, 'a"b', "a,b", "{}", "é", "a\tb", "%0a"])
async def test_any_other_is_replaced(http: aiohttp.ClientSession, request_id: str | None) -> None:
    response = await fetch(http, "/who", request_id)
    made = response.headers["X-Request-ID"]
    assert made != request_id
    assert len(made) == 32
    assert await response.json() == {"request_id": made}


async def test_every_request_has_its_own(http: aiohttp.ClientSession) -> None:
    responses = await asyncio.gather(*[fetch(http, "/task") for _ in range(20)])
    returned = [response.headers["X-Request-ID"] for response in responses]
    assert len(set(returned)) == 20
    assert [(await response.json())["request_id"] for response in responses] == returned


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/items/13", 500), ("/items/x", 404)])
async def test_refused_requests_have_one_too(http: aiohttp.ClientSession, path: str, status: int) -> None:
    response = await fetch(http, path, "mine")
    assert (response.status, response.headers["X-Request-ID"]) == (status, "mine")


async def test_each_request_is_logged_once(http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    # A logger keeps how it was configured when first used, be it by another test's app.
    monkeypatch.setattr(request_id_module, "log", structlog.get_logger())
    with structlog.testing.capture_logs() as lines:
        await fetch(http, "/items/7?canary=1")
        await fetch(http, "/items/13")
        await fetch(http, "/canary")
        await fetch(http, "/who", method="DELETE")
    told = [(line["event"], line["method"], line["route"], line["status"]) for line in lines]
    assert told == [
        ("request", "GET", "/items/{number}", 200),
        ("request", "GET", "/items/{number}", 500),
        ("request", "GET", "unmatched", 404),
        ("request", "DELETE", "unmatched", 405),
    ]
    assert all(line["duration_ms"] >= 0 for line in lines)


async def test_health_reports_that_it_serves(http: aiohttp.ClientSession) -> None:
    response = await fetch(http, "/health")
    assert (response.status, await response.json()) == (200, {"status": "ok", "version": version("b2b-chat")})


async def test_a_refused_method_is_answered_with_the_allowed_ones(http: aiohttp.ClientSession) -> None:
    response = await fetch(http, "/who", method="DELETE")
    assert (response.status, (await response.json())["code"]) == (405, "method_not_allowed")
    assert "GET" in response.headers["Allow"]


async def test_a_defect_reveals_nothing_of_itself(http: aiohttp.ClientSession) -> None:
    response = await fetch(http, "/items/13")
    assert response.status == 500
    assert "canary" not in await response.text()


async def test_what_is_no_http_passes_through() -> None:
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    async def nothing(*_: object) -> Any:
        raise AssertionError("not called")

    await RequestId(app)({"type": "lifespan"}, nothing, nothing)  # type: ignore[arg-type] # just enough
    assert seen == ["lifespan"]
