"""Attempts, counted and timed at the upstream: when there is another one, and when not."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from support.gateway.app import Gateway, events_of, failure_of, gateway, gateway_settings
from support.openai.raw import DONE, FINISH, RawCall, delta, raw_upstream, streaming
from support.openai.simulated import Wire

both_modes = pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])


@pytest_asyncio.fixture(scope="module")
async def stubborn(openai: Wire) -> AsyncIterator[Gateway]:
    """A gateway that tries three times."""
    settings = gateway_settings(
        openai_base_url=f"{openai.url}/v1",
        upstream_max_attempts=3,
        upstream_retry_base_seconds=0.02,
        upstream_retry_cap_seconds=1.5,
    )
    async with gateway(settings) as client:
        yield client


async def ask(client: Gateway, openai: Wire, directive: str, *, stream: bool) -> tuple[httpx.Response, list[Any]]:
    """The response, and what the upstream saw of it."""
    key = secrets.token_hex(4)
    response = await client.post(f"[[simulate: {directive};key={key}]]", stream=stream)
    return response, [seen for seen in await openai.seen() if seen["key"] == key]


MENDED_BY_ANOTHER_ATTEMPT = [
    "status=500",
    "status=502",
    "status=503",
    "error=rate_limit",
    "error=conflict",
    "error=request_timeout",
    "close",
    "reset",
    "cut_after=0",
    "malformed_after=0",
    "error_after=0",
]


@both_modes
@pytest.mark.parametrize("directive", MENDED_BY_ANOTHER_ATTEMPT)
@pytest.mark.parametrize("fail_times", [1, 2])
async def test_what_passes_is_not_noticed(
    openai: Wire, stubborn: Gateway, directive: str, fail_times: int, *, stream: bool
) -> None:
    response, seen = await ask(stubborn, openai, f"{directive};fail_times={fail_times}", stream=stream)
    assert response.status_code == 200
    assert len(seen) == fail_times + 1
    if stream:
        assert events_of(response)[-1].name == "final"


@both_modes
@pytest.mark.parametrize("directive", ["status=500", "error=rate_limit", "status=503", "close"])
async def test_a_persistent_failure_is_reported_after_the_last_attempt(
    openai: Wire, stubborn: Gateway, directive: str, *, stream: bool
) -> None:
    response, seen = await ask(stubborn, openai, directive, stream=stream)
    assert failure_of(response)["retryable"] is True
    assert len(seen) == 3


@both_modes
@pytest.mark.parametrize(
    "error",
    [
        "bad_request",
        "context_length_exceeded",
        "content_filter",
        "invalid_api_key",
        "forbidden",
        "model_not_found",
        "too_large",
        "unprocessable",
        "insufficient_quota",
    ],
)
async def test_a_refusal_is_not_repeated(openai: Wire, stubborn: Gateway, error: str, *, stream: bool) -> None:
    response, seen = await ask(stubborn, openai, f"error={error};fail_times=1", stream=stream)
    assert failure_of(response)["retryable"] is False
    assert len(seen) == 1


@pytest.mark.parametrize("directive", ["cut_after=2", "reset_after=2", "malformed_after=2", "error_after=2"])
async def test_a_begun_answer_is_not_started_again(openai: Wire, stubborn: Gateway, directive: str) -> None:
    response, seen = await ask(stubborn, openai, f"{directive};tps=100;fail_times=1", stream=True)
    assert events_of(response)[0].name == "delta"
    assert failure_of(response)["retryable"] is True
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("header", "seconds", "stream"), [("retry_after=1", 1, True), ("retry_after_ms=400", 0.4, False)]
)
async def test_a_retry_waits_for_retry_after(
    openai: Wire, stubborn: Gateway, header: str, seconds: float, *, stream: bool
) -> None:
    response, seen = await ask(stubborn, openai, f"error=rate_limit;{header};fail_times=1", stream=stream)
    assert response.status_code == 200
    assert seen[1]["received_monotonic_seconds"] - seen[0]["ended_monotonic_seconds"] >= seconds


@both_modes
async def test_a_retry_after_beyond_the_limit_is_passed_on(openai: Wire, stubborn: Gateway, *, stream: bool) -> None:
    response, seen = await ask(stubborn, openai, "error=rate_limit;retry_after=2;fail_times=1", stream=stream)
    assert (response.status_code, response.headers["retry-after"]) == (429, "2")
    assert len(seen) == 1


@both_modes
async def test_no_wait_goes_past_the_end_of_the_call(openai: Wire, *, stream: bool) -> None:
    settings = gateway_settings(
        openai_base_url=f"{openai.url}/v1", upstream_max_attempts=3, upstream_total_timeout_seconds=0.8
    )
    async with gateway(settings) as client:
        response, seen = await ask(client, openai, "status=503;retry_after=1;fail_times=1", stream=stream)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert len(seen) == 1


async def test_the_wait_for_a_first_text_is_not_repeated(openai: Wire) -> None:
    settings = gateway_settings(
        openai_base_url=f"{openai.url}/v1", upstream_max_attempts=3, upstream_first_token_timeout_seconds=0.3
    )
    async with gateway(settings) as client:
        response, seen = await ask(client, openai, "no_answer;fail_times=1", stream=True)
    assert failure_of(response)["code"] == "upstream_timeout"
    assert len(seen) == 1


async def test_attempts_end_with_the_call(openai: Wire) -> None:
    settings = gateway_settings(
        openai_base_url=f"{openai.url}/v1", upstream_max_attempts=10, upstream_total_timeout_seconds=0.8
    )
    async with gateway(settings) as client:
        response, seen = await ask(client, openai, "status=503;delay_ms=300", stream=True)
    assert failure_of(response)["code"] in {"upstream_timeout", "upstream_unavailable"}
    assert len(seen) == 3


@both_modes
async def test_an_empty_answer_is_not_asked_for_again(openai: Wire, stubborn: Gateway, *, stream: bool) -> None:
    response, seen = await ask(stubborn, openai, "tokens=0;fail_times=1", stream=stream)
    assert (failure_of(response)["code"], failure_of(response)["retryable"]) == ("upstream_empty", True)
    assert len(seen) == 1


async def test_a_kept_connection_that_openai_closed_costs_no_answer() -> None:
    answered = asyncio.Event()

    async def reply(call: RawCall) -> None:
        # The first call of a connection is answered; a second one finds it closed.
        await streaming(delta("ab"), FINISH, DONE)(call)
        answered.set()
        call.hang_up()

    async with raw_upstream(reply) as upstream:
        settings = gateway_settings(openai_base_url=upstream.url, upstream_max_attempts=2)
        async with gateway(settings) as client:
            for _ in range(5):
                response = await client.post(stream=True)
                assert events_of(response)[-1].name == "final"
    assert answered.is_set()
