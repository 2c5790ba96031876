"""Requests that cannot be understood: a 4xx of the one form, and nothing stored."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.database.world import Person, World
from support.gateway.fake import FakeGateway
from support.product.app import Client, client_of, error_of, served_product

GOOD = {"client_message_id": "same", "text": "Hello"}
INVALID = (400, "invalid_request")
INVALID_UNICODE = (422, "invalid_unicode")
NUL = (422, "nul_character")
TOO_DEEP = (422, "too_deeply_nested")

BODIES: dict[str, tuple[tuple[int, str], bytes]] = {
    "nothing": (INVALID, b""),
    "white space": (INVALID, b" \n"),
    "not JSON": (INVALID, b"{"),
    "two values": (INVALID, b"{} {}"),
    "null": (INVALID, b"null"),
    "a list": (INVALID, b"[]"),
    "a text": (INVALID, b'"Hello"'),
    "not UTF-8": (INVALID_UNICODE, b'{"client_message_id": "same", "text": "\xff"}'),
    "UTF-16": (INVALID, json.dumps(GOOD).encode("utf-16")),
    "two byte order marks": (INVALID, b"\xef\xbb\xbf\xef\xbb\xbf" + json.dumps(GOOD).encode()),
    "a byte order mark alone": (INVALID, b"\xef\xbb\xbf"),
    "half a pair behind a byte order mark": (
        INVALID_UNICODE,
        b"\xef\xbb\xbf" + b'{"client_message_id": "same", "text": "\\ud800"}',
    ),
    "a lone surrogate": (INVALID_UNICODE, b'{"client_message_id": "same", "text": "\\ud800"}'),
    "half a surrogate pair": (INVALID_UNICODE, b'{"client_message_id": "same", "text": "\\ud83d\\u0041"}'),
    "half a pair in an unknown field": (INVALID_UNICODE, b'{"client_message_id": "same", "text": "", "\\udc00": 1}'),
    "a NUL": (NUL, b'{"client_message_id": "same", "text": "\\u0000"}'),
    "a NUL after a backslash": (NUL, b'{"client_message_id": "same", "text": "\\\\\\u0000"}'),
    "a NUL in an unknown field": (NUL, b'{"client_message_id": "same", "text": "Hello", "\\u0000": 1}'),
    "a control character": (INVALID, b'{"client_message_id": "same", "text": "\x01"}'),
    "deep lists": (TOO_DEEP, b"[" * 2_000 + b"]" * 2_000),
    "deep objects": (TOO_DEEP, b'{"a":' * 2_000 + b"1" + b"}" * 2_000),
    "deep in an unknown field": (
        TOO_DEEP,
        b'{"client_message_id":"same","text":"Hello","more":' + b"[" * 2_000 + b"]" * 2_000 + b"}",
    ),
    "deep lists, too large to be looked into": (INVALID, b"[" * 50_000 + b"]" * 50_000),
    "33 deep": (TOO_DEEP, b"[" * 33 + b"]" * 33),
    "32 deep": (INVALID, b"[" * 32 + b"]" * 32),
    "deep in a known field": (TOO_DEEP, b'{"client_message_id":"same","text":' + b"[" * 5_000 + b"]" * 5_000 + b"}"),
    "a huge number": (INVALID, b'{"client_message_id":"same","text":' + b"9" * 10_000 + b"}"),
}

FIELDS: dict[str, dict[str, Any]] = {
    "no text": {"text": ...},
    "no id": {"client_message_id": ...},
    "an unknown field": {"model": "gpt-4"},
    "text that is a number": {"text": 5},
    "text that is null": {"text": None},
    "text that is a list": {"text": ["Hello"]},
    "an empty id": {"client_message_id": ""},
    "a long id": {"client_message_id": "x" * 129},
    "an id with a space": {"client_message_id": "a b"},
    "an id with a newline at its end": {"client_message_id": "a\n"},
    "an id that is not ASCII": {"client_message_id": "é"},
    "an id that is a number": {"client_message_id": 1},
    "a conversation that is no id": {"conversation_id": "1"},
    "a conversation that is a number": {"conversation_id": 1},
    "stream that is a text": {"stream": "true"},
    "stream that is a number": {"stream": 1},
    "stream that is null": {"stream": None},
}

TEXTS: dict[str, tuple[str, str]] = {
    "nothing": ("", "empty_text"),
    "white space": (" \t\r\n\N{NO-BREAK SPACE}\N{IDEOGRAPHIC SPACE}", "empty_text"),
    "a space without width": ("\u200b", "empty_text"),
    "joiners and marks of order": ("\u200c\u2060\ufeff\u202e\u2066", "empty_text"),
    "a soft hyphen": ("\u00ad", "empty_text"),
    "the space of Braille": ("\u2800", "empty_text"),
    "fillers of Hangul": ("\u3164\u115f\uffa0", "empty_text"),
    "a NUL": ("a\0b", "nul_character"),
    "one character too many": ("x" * 8001, "text_too_long"),
    "one wide character too many": ("😀" * 8001, "text_too_long"),
}


async def post(client: Client, body: bytes, **headers: str) -> tuple[int, str]:
    """Send a body unchanged."""
    all_headers = {"Content-Type": "application/json", **headers}
    return error_of(await client.http.post("/v1/chat", content=body, headers=all_headers))


async def left_no_trace(client: Client, gateway: FakeGateway, world: World, person: Person) -> None:
    """Nothing was stored or asked, and the server still works."""
    assert gateway.calls == []
    assert await world.messages(person) == []
    assert (await client.ask())["status"] == "completed"


@pytest.mark.parametrize("what", BODIES)
async def test_a_body_that_is_no_message(
    client: Client, gateway: FakeGateway, world: World, person: Person, what: str
) -> None:
    refusal, body = BODIES[what]
    assert await post(client, body) == refusal
    await left_no_trace(client, gateway, world, person)


async def test_a_byte_order_mark_is_no_part_of_a_body(client: Client) -> None:
    body = json.dumps(GOOD | {"text": "Привет"}, ensure_ascii=False).encode("utf-8-sig")
    answer = await client.http.post("/v1/chat", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")


@pytest.mark.parametrize("what", FIELDS)
async def test_a_field_that_is_wrong(
    client: Client, gateway: FakeGateway, world: World, person: Person, what: str
) -> None:
    body = {name: value for name, value in (GOOD | FIELDS[what]).items() if value is not ...}
    assert await post(client, json.dumps(body).encode()) == INVALID
    await left_no_trace(client, gateway, world, person)


@pytest.mark.parametrize("what", TEXTS)
async def test_a_text_that_cannot_be_a_message(
    client: Client, gateway: FakeGateway, world: World, person: Person, what: str
) -> None:
    text, code = TEXTS[what]
    assert error_of(await client.send(text)) == (422, code)
    assert error_of(await client.send(text, stream=True)) == (422, code)
    await left_no_trace(client, gateway, world, person)


@pytest.mark.parametrize(
    "text", ["\\u0000", "x" * 8000, "😀" * 8000, "👨\N{ZERO WIDTH JOINER}👩", "a\x01\x7f\N{RIGHT-TO-LEFT OVERRIDE}b"]
)
async def test_a_text_that_can(client: Client, world: World, person: Person, text: str) -> None:
    await client.ask(text)
    asked, _ = await world.messages(person)
    assert asked["text"] == text


async def test_the_problem_is_named(client: Client) -> None:
    response = await client.http.post("/v1/chat", json={"client_message_id": "same", "text": 5})
    assert "text" in response.json()["detail"]["message"]


async def test_another_kind_of_body_is_refused(client: Client) -> None:
    body = json.dumps(GOOD).encode()
    for content_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/msgpack",
        "multipart/form-data",
    ):
        refused = await post(client, body, **{"Content-Type": content_type})
        assert refused == (415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
async def test_json_is_known_by_its_name(client: Client, content_type: str) -> None:
    response = await client.http.post(
        "/v1/chat", content=json.dumps(client.message()), headers={"Content-Type": content_type}
    )
    assert response.status_code == 200


async def test_a_body_that_is_too_large(database_url: str, gateway: FakeGateway, person: Person) -> None:
    async with (
        served_product(database_url, gateway.url, max_body_bytes=1024) as url,
        client_of(url, person) as client,
    ):
        assert await post(client, b"x" * 1025) == (413, "body_too_large")

        async def in_chunks() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b"x" * 500

        response = await client.http.post("/v1/chat", content=in_chunks(), headers={"Content-Type": "application/json"})
        assert error_of(response) == (413, "body_too_large")
        # The server may close a connection whose body it has not read to its end.
        async with client_of(url, person) as another:
            assert (await another.ask("x" * 900))["status"] == "completed"


@pytest.mark.parametrize(
    "path", ["/nothing", "/v1", "/v2/chat", "/v1/chat/", "/v1/nothing", "/v1/conversations/1/messages", "/%00", "/é"]
)
async def test_an_unknown_path(client: Client, path: str) -> None:
    response = await client.http.get(path)
    if path == "/v1/chat/":
        assert response.status_code in {404, 405}
    else:
        assert error_of(response) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat", "POST"),
        ("DELETE", "/v1/chat", "POST"),
        ("POST", "/v1/balance", "GET"),
        ("PUT", "/health", "GET"),
    ],
)
async def test_a_method_that_is_not_allowed(client: Client, method: str, path: str, allowed: str) -> None:
    response = await client.http.request(method, path)
    assert error_of(response) == (405, "method_not_allowed")
    assert allowed in response.headers["allow"].replace(" ", "").split(",")


async def test_a_disconnect_mid_body_does_no_harm(client: Client, product_url: str, person: Person) -> None:
    parts = urlsplit(product_url)
    for _ in range(5):
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        lines = ("POST /v1/chat HTTP/1.1", "Host: x", f"Authorization: Bearer {person.api_key}", "Content-Length: 100")
        writer.write("\r\n".join([*lines, "", '{"client']).encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await client.ask())["status"] == "completed"
