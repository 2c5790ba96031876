"""What a failed answer says besides its code: whether to try again, which request it was, which part is at fault."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from support.database.world import World
from support.gateway.fake import FakeGateway, refusing
from support.product.app import Client, client_of, error_of, served_product

UNKNOWN = uuid4()
JSON = {"Content-Type": "application/json"}
GOOD = {"client_message_id": "id", "text": "Hello"}

# method, path, content, headers -> status, code, param
REQUESTS: dict[str, tuple[str, str, bytes, dict[str, str], tuple[int, str, str | None]]] = {
    "no such path": ("GET", "/v1/nothing", b"", {}, (404, "not_found", None)),
    "no such method": ("PATCH", "/v1/chat", b"", {}, (405, "method_not_allowed", None)),
    "too large": ("POST", "/v1/chat", b" " * 2_000_000, JSON, (413, "body_too_large", None)),
    "no JSON": ("POST", "/v1/chat", b"{}", {"Content-Type": "text/plain"}, (415, "unsupported_media_type", None)),
    "broken JSON": ("POST", "/v1/chat", b"{", JSON, (400, "invalid_request", None)),
    "a missing field": ("POST", "/v1/chat", b'{"client_message_id":"id"}', JSON, (400, "invalid_request", "text")),
    "a field of another type": (
        "POST",
        "/v1/chat",
        json.dumps({**GOOD, "stream": "yes"}).encode(),
        JSON,
        (400, "invalid_request", "stream"),
    ),
    "an unknown field": (
        "POST",
        "/v1/chat",
        json.dumps({**GOOD, "model": "gpt"}).encode(),
        JSON,
        (400, "invalid_request", "model"),
    ),
    "an empty text": (
        "POST",
        "/v1/chat",
        json.dumps({**GOOD, "text": " "}).encode(),
        JSON,
        (422, "empty_text", "text"),
    ),
    "a NUL": ("POST", "/v1/chat", json.dumps({**GOOD, "text": "\0"}).encode(), JSON, (422, "nul_character", None)),
    "a parameter beyond its bounds": ("GET", "/v1/conversations?limit=0", b"", {}, (400, "invalid_request", "limit")),
    "a cursor of another list": ("GET", "/v1/ledger?cursor=x", b"", {}, (400, "invalid_request", "cursor")),
    "an unknown answer": (
        "GET",
        f"/v1/chat/{UNKNOWN}/events",
        b"",
        {},
        (404, "answer_not_found", "assistant_message_id"),
    ),
    "an unknown conversation": (
        "GET",
        f"/v1/conversations/{UNKNOWN}/messages",
        b"",
        {},
        (404, "conversation_not_found", "conversation_id"),
    ),
    "a header that is wrong": (
        "GET",
        f"/v1/chat/{UNKNOWN}/events",
        b"",
        {"Last-Event-ID": "x"},
        (400, "invalid_request", "Last-Event-ID"),
    ),
}


def told_of(response: httpx.Response) -> tuple[int, str, str | None]:
    """Status, code and the part at fault."""
    status, code = error_of(response)
    return status, code, response.json()["detail"].get("param")


@pytest.mark.parametrize("what", REQUESTS)
async def test_a_refusal_names_what_is_at_fault(client: Client, what: str) -> None:
    method, path, content, headers, expected = REQUESTS[what]
    response = await client.http.request(method, path, content=content, headers=headers)
    assert told_of(response) == expected
    assert response.json()["detail"]["retryable"] is False


async def test_without_a_key(product_url: str) -> None:
    async with client_of(product_url, None) as stranger:
        response = await stranger.http.get("/v1/balance")
        assert told_of(response) == (401, "unauthenticated", None)
        assert response.json()["detail"]["retryable"] is False


async def test_a_refusal_has_the_id_that_its_request_was_sent_with(client: Client) -> None:
    response = await client.http.get("/v1/nothing", headers={"X-Request-ID": "my-own-id"})
    assert response.json()["detail"]["request_id"] == "my-own-id"


async def test_what_is_limited_may_be_sent_again(database_url: str, world: World, gateway: FakeGateway) -> None:
    async with (
        served_product(database_url, gateway.url, chat_rpm_per_user=1) as url,
        client_of(url, await world.person()) as client,
    ):
        assert (await client.send()).status_code == 200
        limited = await client.send()
    assert told_of(limited) == (429, "rate_limited", None)
    assert limited.json()["detail"]["retryable"] is True


@pytest.mark.parametrize(
    ("refusal", "code", "retryable"),
    [
        ("upstream_unavailable", "gateway_unavailable", True),
        ("context_length_exceeded", "context_length_exceeded", False),
        ("content_filtered", "content_filtered", False),
    ],
)
async def test_an_event_says_the_same_as_a_body(
    client: Client, gateway: FakeGateway, refusal: Any, code: str, retryable: bool
) -> None:
    gateway.reply = refusing(refusal)
    message = client.message()
    response = await client.http.post("/v1/chat", json={**message, "stream": True})
    said = next(line for line in response.text.splitlines() if '"detail"' in line).removeprefix("data: ")
    detail = json.loads(said)["detail"]
    assert set(detail) == {"code", "message", "retryable", "request_id"}
    assert (detail["code"], detail["retryable"]) == (code, retryable)
    assert detail["request_id"] == response.headers["X-Request-ID"]
