"""What verification lets in, asked over a raw socket that sends every byte as written."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pytest
import pytest_asyncio

from b2b_chat.contract.errors import FAILURES, Code
from b2b_chat.contract.signing import sign
from b2b_chat.kit.settings import Secret
from support.gateway.app import SECRET, Gateway, gateway, gateway_settings
from support.gateway.chat_bodies import chat_request
from support.gateway.signing_vectors import ACCEPT, each_accepted, each_rejected

NOW = 1_764_000_000


class AtRest:
    """A clock that rests at the time of the vectors, once a gateway has been made long before."""

    def __init__(self) -> None:
        self._now = NOW - 3600

    def __call__(self) -> datetime:
        now, self._now = self._now, NOW
        return datetime.fromtimestamp(now, UTC)


async def send(port: int, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
    """The status and the JSON that come back."""
    lines = [f"{method} {target} HTTP/1.1", "Host: gateway", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split(b" ")[1]), json.loads(rest) if rest else {}


@pytest_asyncio.fixture(scope="module")
async def doors() -> AsyncIterator[dict[str, Gateway]]:
    """A gateway for each secret of the vectors, with their time."""
    async with AsyncExitStack() as stack:
        doors = {}
        for secret in {SECRET, *(row["secret"] for row in ACCEPT), "000000000000000000000000000000000000000000000000"}:
            settings = gateway_settings(gateway_shared_secret=Secret(secret), gateway_max_body_bytes=100_000)
            doors[secret] = await stack.enter_async_context(gateway(settings, clock=AtRest()))
        yield doors


async def send_row(doors: dict[str, Gateway], row: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    body = bytes.fromhex(row["body_hex"])
    return await send(doors[row["secret"]].port, row["method"], row["target"], row["headers"], body)


@each_accepted
async def test_a_good_row_passes_once(doors: dict[str, Gateway], row: dict[str, Any]) -> None:
    status, _ = await send_row(doors, row)
    # Inside, most bodies and paths of the vectors make no sense.
    assert status in {200, 400, 404, 405}
    status, body = await send_row(doors, row)
    assert (status, body["error"]["code"]) == (401, "replayed_nonce")


@each_rejected
async def test_a_bad_row_does_not(doors: dict[str, Gateway], row: dict[str, Any]) -> None:
    status, body = await send_row(doors, row)
    assert (status, body["error"]["code"]) == (401, row["code"])


@pytest.fixture
def port(doors: dict[str, Gateway]) -> int:
    return doors[SECRET].port


def signed(method: str, target: str, body: bytes = b"") -> dict[str, str]:
    return sign(SECRET.encode(), method, target, body, unix_seconds=NOW)


async def test_a_header_sent_twice_is_not_understood(port: int) -> None:
    headers = signed("GET", "/internal/ping")
    for name, value in list(headers.items()):
        status, body = await send(port, "GET", "/internal/ping", {**headers, name.lower(): value}, b"")
        assert (status, body["error"]["code"]) == (401, "malformed_signature")


async def test_health_is_open_and_says_no_more_than_the_version(port: int) -> None:
    assert await send(port, "GET", "/health", {}, b"") == (200, {"status": "ok", "version": version("b2b-chat")})


async def test_ping_reports_version_model_and_time(port: int) -> None:
    status, body = await send(port, "GET", "/internal/ping", signed("GET", "/internal/ping"), b"")
    assert status == 200
    assert body["model"] == "gpt-5.2"
    assert body["server_time"] == NOW
    assert body["version"].count(".") == 2


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/schema", 404, "not_found"),
        ("GET", "/schema/openapi.json", 404, "not_found"),
        ("POST", "/v1/chat/completions", 404, "not_found"),
        ("GET", "/v1/chat", 405, "method_not_allowed"),
        ("DELETE", "/internal/ping", 405, "method_not_allowed"),
        ("BREW", "/v1/chat", 405, "method_not_allowed"),
        ("POST", "/health", 405, "method_not_allowed"),
    ],
)
async def test_only_signed_callers_learn_that_a_path_does_not_exist(
    port: int, method: str, target: str, status: int, code: Code
) -> None:
    failure = FAILURES[code]
    answer = await send(port, method, target, signed(method, target), b"")
    assert answer == (
        status,
        {"error": {"type": failure.type, "code": code, "message": failure.message, "retryable": False}},
    )
    assert (await send(port, method, target, {}, b""))[0] == 401


INVALID_BODIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "data"),
    "not_json": (b"hello", "malformed"),
    "not_an_object": (b"[]", "Expected `object`"),
    "cut": (json.dumps(chat_request()).encode()[:-1], "truncated"),
    "not_utf8": (json.dumps(chat_request("X")).encode().replace(b"X", b"\xff\xfe"), "UTF-8"),
    "half_an_emoji": (json.dumps(chat_request("X")).encode().replace(b"X", rb"\ud83d"), "surrogate"),
    "utf16": (json.dumps(chat_request()).encode("utf-16"), "malformed"),
    "another_model": (json.dumps(chat_request(model="gpt-4")).encode(), "$.model"),
    "no_messages": (json.dumps(chat_request(messages=[])).encode(), "$.messages"),
    "number_as_text": (json.dumps(chat_request(max_completion_tokens="5")).encode(), "$.max_completion_tokens"),
    "flag_as_number": (json.dumps(chat_request() | {"stream": 1}).encode(), "$.stream"),
    "huge_number": (b'{"max_completion_tokens":1e999}', "out of range"),
    "one_field_too_many": (json.dumps(chat_request(n=1)).encode(), "`n`"),
    "deep": (b'{"messages":' + b"[" * 50_000, "$.messages"),
}


@pytest.mark.parametrize(("body", "told"), INVALID_BODIES.values(), ids=INVALID_BODIES)
async def test_a_body_that_is_not_in_the_contract_is_refused_with_its_reason(port: int, body: bytes, told: str) -> None:
    headers = {"Content-Type": "application/json", **signed("POST", "/v1/chat", body)}
    status, answer = await send(port, "POST", "/v1/chat", headers, body)
    assert (status, answer["error"]["code"]) == (400, "invalid_body")
    assert told in answer["error"]["message"]


@pytest.mark.parametrize("target", ["/v1/chat?x=1", "/v1/chat?=", "/internal/ping?x", "/health?probe=1", "/ready?x=2"])
async def test_no_operation_takes_a_query(port: int, target: str) -> None:
    method = "POST" if target.startswith("/v1/chat") else "GET"
    body = json.dumps(chat_request()).encode() if method == "POST" else b""
    headers = {"Content-Type": "application/json", **signed(method, target, body)}
    status, answer = await send(port, method, target, headers, body)
    assert (status, answer["error"]["code"]) == (400, "invalid_body")
    assert "has no query parameter" in answer["error"]["message"]


@pytest.mark.parametrize("query", ["%ff", "a=%C3%28", "a=%ED%A0%80"])
async def test_a_query_that_is_not_utf8_is_refused(port: int, query: str) -> None:
    status, answer = await send(port, "GET", f"/health?{query}", {}, b"")
    assert (status, answer["error"]["message"]) == (400, "The query is not UTF-8.")


async def test_a_byte_order_mark_is_no_part_of_a_body(port: int) -> None:
    body = json.dumps(chat_request(model="gpt-4")).encode("utf-8-sig")
    headers = {"Content-Type": "application/json", **signed("POST", "/v1/chat", body)}
    status, answer = await send(port, "POST", "/v1/chat", headers, body)
    assert (status, "$.model" in answer["error"]["message"]) == (400, True)  # so that it was understood up to there


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
async def test_a_body_declared_as_other_than_json_is_refused(port: int, content_type: str) -> None:
    body = json.dumps(chat_request()).encode()
    headers = {"Content-Type": content_type, **signed("POST", "/v1/chat", body)}
    status, answer = await send(port, "POST", "/v1/chat", headers, body)
    assert (status, answer["error"]["code"]) == (415, "unsupported_media_type")


async def test_a_body_that_is_too_large_is_refused_before_it_comes(port: int) -> None:
    body = b" " * 100_001
    for status, headers in ((b"401", {}), (b"413", signed("POST", "/v1/chat", body))):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = ["POST /v1/chat HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 " + status)
        writer.close()


async def test_a_chunked_body_is_counted_as_it_comes(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = ["POST /v1/chat HTTP/1.1", "Host: x", "Transfer-Encoding: chunked"]
    lines += [f"{name}: {value}" for name, value in signed("POST", "/v1/chat").items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    for _ in range(3):
        writer.write(b"9c40\r\n" + b" " * 40_000 + b"\r\n")
    await writer.drain()
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413")
    writer.close()


async def test_a_chunked_body_is_signed_as_a_whole(port: int) -> None:
    headers = signed("POST", "/v1/nowhere", b"hello world")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = ["POST /v1/nowhere HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 404")
    writer.close()


@pytest.mark.parametrize("request_id", ["call-7", "a" * 128])
async def test_the_request_id_comes_back_even_from_the_door(doors: dict[str, Gateway], request_id: str) -> None:
    client = doors[SECRET].http
    for auth in (client.auth, None):
        response = await client.get("/internal/ping", headers={"X-Request-ID": request_id}, auth=auth)
        assert response.headers["x-request-id"] == request_id


async def test_the_allowed_methods_are_named(doors: dict[str, Gateway]) -> None:
    client = doors[SECRET]
    headers = signed("GET", "/v1/chat")
    response = await client.http.get("/v1/chat", headers=headers, auth=None)
    assert response.status_code == 405
    assert "POST" in response.headers["allow"]
