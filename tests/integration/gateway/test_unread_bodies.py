"""Refusals of bodies reach clients that look for a response only when they have sent everything."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import structlog

from b2b_chat.contract.errors import FAILURES
from b2b_chat.contract.signing import sign
from b2b_chat.gateway import verification as verification_module
from b2b_chat.kit import request_id as request_id_module
from support.gateway.app import SECRET, Gateway, gateway, gateway_settings
from support.http.stubborn import LAST_CHUNK, MALFORMED, chunk, send
from support.processes.waiting import until

REPEATS = 25
TWO_MEGABYTES = b"x" * 2_000_000


def head_of(path: str, *headers: str) -> list[str]:
    """Headers that could be a signed call's; without such no body is read."""
    signature = sign(SECRET.encode(), "POST", path, b"", unix_seconds=int(time.time()))
    return [f"POST {path} HTTP/1.1", *headers, *[f"{name}: {value}" for name, value in signature.items()]]


@pytest_asyncio.fixture(scope="module")
async def door() -> AsyncIterator[Gateway]:
    async with gateway(gateway_settings(gateway_max_body_bytes=100_000)) as client:
        yield client


@pytest.mark.parametrize("path", ["/v1/chat", "/v1/unknown", "/health"])
async def test_what_is_too_large_gets_its_refusal(door: Gateway, path: str) -> None:
    head = head_of(path, f"Content-Length: {len(TWO_MEGABYTES)}")
    for received in await asyncio.gather(*[send(door.port, head, TWO_MEGABYTES) for _ in range(REPEATS)]):
        assert received is not None
        assert received.status == 413
        assert received.body["error"]["code"] == "body_too_large"


async def test_what_turns_out_too_large_gets_its_refusal(door: Gateway) -> None:
    head = head_of("/v1/chat", "Transfer-Encoding: chunked")
    body = [chunk(b"x" * 50_000)] * 40
    for received in await asyncio.gather(*[send(door.port, head, *body, LAST_CHUNK) for _ in range(REPEATS)]):
        assert received is not None
        assert received.status == 413
        assert received.body["error"]["code"] == "body_too_large"


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_body_is_refused_in_the_error_form(door: Gateway, name: str) -> None:
    head = head_of("/v1/chat", "Content-Type: application/json", "Transfer-Encoding: chunked")
    for received in await asyncio.gather(*[send(door.port, head, *MALFORMED[name]) for _ in range(REPEATS)]):
        assert received is not None
        assert received.status == 400
        failure = FAILURES["invalid_body"]
        assert received.body["error"]["code"] == failure.code
        assert received.body["error"]["type"] == failure.type


async def test_a_client_that_leaves_mid_body_makes_no_error(door: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    # A logger keeps how it was configured when first used, be it by another test's app.
    for module in (request_id_module, verification_module):
        monkeypatch.setattr(module, "log", structlog.get_logger())
    head = head_of("/v1/chat", "Content-Length: 1000")
    with structlog.testing.capture_logs() as lines:

        async def all_ended() -> object:
            return sum(line["event"] == "request" for line in lines) == REPEATS

        await asyncio.gather(*[send(door.port, head, b"{", leaves=True) for _ in range(REPEATS)])
        await until(all_ended)
    assert {(line["event"], line["log_level"]) for line in lines} == {("request", "info"), ("call_refused", "warning")}
    assert {line["status"] for line in lines if line["event"] == "request"} == {400}
