"""A second upstream for the same model: asked when the first fails before its first text."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from b2b_chat.gateway.settings import GatewaySettings
from b2b_chat.kit.settings import Secret
from b2b_chat.sandbox.openai_simulator import SimulatorSettings
from support.gateway.app import events_of, failure_of, gateway, gateway_settings
from support.gateway.chat_bodies import METADATA
from support.http.serving import free_port
from support.openai.simulated import Wire, simulated_openai

both_modes = pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])

FAULTS = [f"status={status}" for status in (401, 402, 403, 404, 429, 500, 503)]


@pytest_asyncio.fixture(scope="module")
async def second() -> AsyncIterator[Wire]:
    async with simulated_openai() as wire:
        yield wire


def failing(directives: str) -> AbstractAsyncContextManager[Wire]:
    """A first upstream with a fault of its own."""
    return simulated_openai(SimulatorSettings(directives=directives))


def settings_of(first_url: str, second: Wire, **changes: Any) -> GatewaySettings:
    return gateway_settings(
        openai_base_url=f"{first_url}/v1",
        openai_fallback_base_url=f"{second.url}/v1",
        openai_fallback_api_key=Secret("sk-second-0123456789abcdef"),
        **changes,
    )


def served_by(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    if "event-stream" in response.headers["content-type"]:
        upstream: str = json.loads(events_of(response)[-1].data)["upstream"]
    else:
        upstream = response.json()["upstream"]
    return upstream


@both_modes
async def test_the_first_is_asked_as_long_as_it_answers(openai: Wire, second: Wire, *, stream: bool) -> None:
    await second.forget()
    async with gateway(settings_of(openai.url, second)) as client:
        assert served_by(await client.post(stream=stream)) == "primary"
    assert await second.seen() == []


@both_modes
async def test_an_unreachable_first_is_replaced_at_once(second: Wire, *, stream: bool) -> None:
    settings = settings_of(f"http://127.0.0.1:{free_port()}", second, upstream_max_attempts=1)
    async with gateway(settings) as client:
        assert served_by(await client.post(stream=stream)) == "fallback"


@both_modes
@pytest.mark.parametrize(
    "fault",
    [
        "status=401",
        "status=402",
        "status=403",
        "status=404",
        "status=500",
        "status=503",
        "error=insufficient_quota",
        "status=429",
    ],
)
async def test_the_faults_of_the_first_are_not_the_callers(second: Wire, fault: str, *, stream: bool) -> None:
    async with (
        failing(fault) as first,
        gateway(settings_of(first.url, second)) as client,
    ):
        assert served_by(await client.post(stream=stream)) == "fallback"
        assert len(await first.seen()) == 1


@both_modes
async def test_what_is_wrong_with_the_request_is_not_asked_twice(openai: Wire, second: Wire, *, stream: bool) -> None:
    await second.forget()
    async with gateway(settings_of(openai.url, second)) as client:
        refused = await client.post("[[simulate: error=context_length_exceeded]]", stream=stream)
    assert failure_of(refused)["code"] == "context_length_exceeded"
    assert await second.seen() == []


async def test_a_begun_answer_is_not_started_elsewhere(second: Wire) -> None:
    await second.forget()
    async with (
        failing("tps=100; cut_after=3") as first,
        gateway(settings_of(first.url, second)) as client,
    ):
        answer = await client.post(stream=True)
        failure = failure_of(answer)
        assert (failure["code"], failure["upstream"]) == ("upstream_truncated", "primary")
        assert len(await first.seen()) == 1
    assert await second.seen() == []


@both_modes
@pytest.mark.parametrize(
    ("avoided", "served"), [("primary", "fallback"), ("fallback", "primary"), ("unknown", "primary")]
)
async def test_an_upstream_to_avoid_is_asked_last(
    openai: Wire, second: Wire, avoided: str, served: str, *, stream: bool
) -> None:
    async with gateway(settings_of(openai.url, second)) as client:
        assert served_by(await client.post(stream=stream, avoid_upstream=avoided)) == served


@both_modes
async def test_an_upstream_to_avoid_is_better_than_none(openai: Wire, *, stream: bool) -> None:
    async with failing("status=503") as down, gateway(settings_of(openai.url, down)) as client:
        assert served_by(await client.post(stream=stream, avoid_upstream="primary")) == "primary"
    async with gateway(gateway_settings(openai_base_url=f"{openai.url}/v1")) as client:
        assert served_by(await client.post(stream=stream, avoid_upstream="primary")) == "primary"


async def test_a_failure_before_the_first_text_names_no_upstream() -> None:
    async with failing("status=500") as first:
        settings = gateway_settings(openai_base_url=f"{first.url}/v1", upstream_max_attempts=1)
        async with gateway(settings) as client:
            assert "upstream" not in failure_of(await client.post(stream=True))


async def test_an_answer_that_was_complete_is_replayed_whatever_is_to_be_avoided(openai: Wire, second: Wire) -> None:
    """The product lost its end: it asks again, and nothing is bought again."""
    await openai.forget()
    async with gateway(settings_of(openai.url, second)) as client:
        metadata = METADATA | {"message_id": str(uuid4())}
        first = await client.post(metadata=metadata)
        again = await client.post(metadata=metadata, avoid_upstream="primary")
    assert again.json() == first.json()
    assert len(await openai.seen()) == 1


async def test_when_both_fail_the_failure_is_reported(second: Wire) -> None:
    settings = settings_of(f"http://127.0.0.1:{free_port()}", second, upstream_max_attempts=1)
    async with gateway(settings) as client:
        refused = await client.post("[[simulate: status=503]]")
    assert (refused.status_code, failure_of(refused)["code"]) == (503, "upstream_unavailable")


@both_modes
@pytest.mark.parametrize("silence", ["no_answer", "first_token_delay_ms=60000"])
async def test_a_first_without_a_text_is_given_up_soon(second: Wire, silence: str, *, stream: bool) -> None:
    async with failing(silence) as first:
        settings = settings_of(
            first.url,
            second,
            upstream_first_token_timeout_seconds=600,
            upstream_total_timeout_seconds=600,
            upstream_first_token_timeout_with_fallback_seconds=0.2,
        )
        async with gateway(settings) as client:
            assert served_by(await client.post(stream=stream)) == "fallback"
        assert len(await first.seen()) == 1


@pytest.mark.parametrize("fault", ["tps=100; cut_after=3", "tps=100; stall_after=3"])
async def test_a_whole_answer_that_breaks_off_is_begun_elsewhere(second: Wire, fault: str) -> None:
    """Nobody has read any of it."""
    async with (
        failing(fault) as first,
        gateway(settings_of(first.url, second, upstream_silence_timeout_seconds=0.2)) as client,
    ):
        assert served_by(await client.post()) == "fallback"
        assert len(await first.seen()) == 1


async def test_the_last_that_is_left_has_all_the_time(second: Wire) -> None:
    """Neither is asked twice for a first text, and only the first is hurried."""
    async with failing("no_answer") as first:
        settings = settings_of(
            first.url,
            second,
            upstream_first_token_timeout_seconds=0.6,
            upstream_first_token_timeout_with_fallback_seconds=0.1,
            upstream_max_attempts=5,
        )
        async with gateway(settings) as client:
            assert served_by(await client.post("[[simulate: first_token_delay_ms=300]]", stream=True)) == "fallback"
            await second.forget()
            refused = await client.post("[[simulate: no_answer]]", stream=True)
        assert failure_of(refused)["code"] == "upstream_timeout"
        assert (len(await first.seen()), len(await second.seen())) == (2, 1)


async def test_where_the_other_is_known_to_fail_the_first_has_all_the_time(openai: Wire) -> None:
    async with failing("status=500; fail_times=2; key=down") as down:
        settings = settings_of(
            openai.url,
            down,
            upstream_breaker_failures=1,
            upstream_breaker_open_seconds=600,
            upstream_first_token_timeout_with_fallback_seconds=0.1,
            upstream_max_attempts=2,
        )
        async with gateway(settings) as client:
            refused = await client.post("[[simulate: status=500; fail_times=1; key=both]]")  # both breakers open
            assert failure_of(refused)["code"] == "upstream_failed"
            answer = await client.post("[[simulate: first_token_delay_ms=300]]", stream=True)
            assert served_by(answer) == "primary"


@both_modes
async def test_an_account_at_fault_is_not_asked_again_in_a_call(*, stream: bool) -> None:
    """The second passes after a while, the account of the first does not."""
    async with failing("status=402") as first, failing("status=503; fail_times=2; key=slow") as slow:
        settings = settings_of(first.url, slow, upstream_max_attempts=4)
        async with gateway(settings) as client:
            assert served_by(await client.post(stream=stream)) == "fallback"
        assert (len(await first.seen()), len(await slow.seen())) == (1, 3)


async def test_an_account_at_fault_opens_the_breaker(second: Wire) -> None:
    async with failing("error=insufficient_quota") as first:
        settings = settings_of(first.url, second, upstream_breaker_failures=2)
        async with gateway(settings) as client:
            assert [served_by(await client.post()) for _ in range(4)] == ["fallback"] * 4
        assert len(await first.seen()) == 2


async def test_a_failing_first_is_left_alone_then_probed_and_taken_back(second: Wire) -> None:
    """Three failures open the breaker; while it is open the first is not asked; one probe takes it back."""
    async with failing("status=503; fail_times=4; key=flapping") as first:
        settings = settings_of(first.url, second, upstream_breaker_failures=3, upstream_breaker_open_seconds=0.4)
        async with gateway(settings) as client:
            assert [served_by(await client.post()) for _ in range(6)] == ["fallback"] * 6
            assert len(await first.seen()) == 3
            await asyncio.sleep(0.5)
            assert served_by(await client.post()) == "fallback"  # the probe fails
            assert len(await first.seen()) == 4
            assert served_by(await client.post()) == "fallback"
            assert len(await first.seen()) == 4
            await asyncio.sleep(0.5)
            assert [served_by(await client.post()) for _ in range(3)] == ["primary"] * 3
