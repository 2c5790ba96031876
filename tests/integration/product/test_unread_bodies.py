"""Refusals of bodies reach clients that look for a response only when they have sent everything."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import structlog

from b2b_chat.kit import request_id as request_id_module
from b2b_chat.product import errors as errors_module
from support.database.world import Person
from support.gateway.fake import FakeGateway
from support.http.stubborn import LAST_CHUNK, MALFORMED, Received, chunk, send
from support.processes.waiting import until
from support.product.app import served_product

REPEATS = 25
TWO_MEGABYTES = b"x" * 2_000_000
UNSIGNED = ("/auth/verify", "/auth/request-link")


@pytest_asyncio.fixture(scope="module")
async def product_url(database_url: str, module_gateway: FakeGateway) -> AsyncIterator[str]:
    """One that takes many requests of strangers."""
    async with served_product(database_url, module_gateway.url, login_rpm_per_ip=1_000_000) as url:
        yield url


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


def head_of(path: str, person: Person, *headers: str) -> list[str]:
    return [
        f"POST {path} HTTP/1.1",
        f"Authorization: Bearer {person.api_key}",
        "Content-Type: application/json",
        *headers,
    ]


async def sent_often(url: str, head: Sequence[str], *parts: bytes) -> list[Received]:
    received = await asyncio.gather(*[send(port_of(url), head, *parts) for _ in range(REPEATS)])
    return [each for each in received if each is not None]


def codes_of(received: Sequence[Received]) -> set[tuple[int, str]]:
    return {(each.status, each.body["detail"]["code"]) for each in received}


@pytest.mark.parametrize("path", ["/v1/chat", *UNSIGNED])
async def test_what_is_too_large_gets_its_refusal(product_url: str, person: Person, path: str) -> None:
    head = head_of(path, person, f"Content-Length: {len(TWO_MEGABYTES)}")
    received = await sent_often(product_url, head, TWO_MEGABYTES)
    assert codes_of(received) == {(413, "body_too_large")}
    assert len(received) == REPEATS


async def test_what_turns_out_too_large_gets_its_refusal(product_url: str, person: Person) -> None:
    head = head_of("/v1/chat", person, "Transfer-Encoding: chunked")
    received = await sent_often(product_url, head, *[chunk(b"x" * 100_000)] * 20, LAST_CHUNK)
    assert codes_of(received) == {(413, "body_too_large")}


async def test_every_refusal_reaches_a_client_that_sends_much(product_url: str, person: Person) -> None:
    length = f"Content-Length: {len(TWO_MEGABYTES)}"
    nobody = ["POST /v1/chat HTTP/1.1", "Content-Type: application/json", length]
    assert codes_of(await sent_often(product_url, nobody, TWO_MEGABYTES)) == {(401, "unauthenticated")}
    nowhere = await sent_often(product_url, head_of("/v1/nowhere", person, length), TWO_MEGABYTES)
    assert codes_of(nowhere) == {(404, "not_found")}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_body_is_refused_in_the_error_form(product_url: str, person: Person, name: str) -> None:
    for path in ("/v1/chat", *UNSIGNED):
        head = head_of(path, person, "Transfer-Encoding: chunked")
        assert codes_of(await sent_often(product_url, head, *MALFORMED[name])) == {(400, "invalid_request")}


@pytest.mark.parametrize("path", ["/v1/chat", *UNSIGNED])
async def test_a_client_that_leaves_mid_body_makes_no_error(
    product_url: str, person: Person, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A logger keeps how it was configured when first used, be it by another test's app.
    for module in (request_id_module, errors_module):
        monkeypatch.setattr(module, "log", structlog.get_logger())
    head = head_of(path, person, "Content-Length: 1000")
    with structlog.testing.capture_logs() as lines:

        async def all_ended() -> bool:
            return len(lines) == REPEATS

        await asyncio.gather(*[send(port_of(product_url), head, b"{", leaves=True) for _ in range(REPEATS)])
        await until(all_ended)
    assert {(line["event"], line["log_level"], line["status"]) for line in lines} == {("request", "info", 400)}
