"""The layer that adds security headers."""

from typing import Any

import pytest

from b2b_chat.kit.security_headers import SECURITY_HEADERS, SecurityHeaders


async def answered(*headers: tuple[bytes, bytes], scope_type: str = "http") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two", "more_body": False})

    async def send(message: Any) -> None:
        sent.append(message)

    layer: Any = SecurityHeaders(app)
    await layer({"type": scope_type}, None, send)
    return sent


async def test_an_answer_without_them_gets_them_all_and_keeps_its_body() -> None:
    start, *body = await answered((b"content-type", b"application/json"))
    assert start["headers"] == [(b"content-type", b"application/json"), *SECURITY_HEADERS]
    assert [part["body"] for part in body] == [b"one", b"two"]


@pytest.mark.parametrize("name", [name for name, _ in SECURITY_HEADERS])
async def test_headers_that_an_answer_sets_itself_stay(name: bytes) -> None:
    start, *_ = await answered((name, b"its own"))
    assert [value for each, value in start["headers"] if each == name] == [b"its own"]
    assert {each for each, _ in start["headers"]} == {each for each, _ in SECURITY_HEADERS}


async def test_the_lifespan_is_let_through() -> None:
    start, *_ = await answered(scope_type="lifespan")
    assert start["headers"] == []
