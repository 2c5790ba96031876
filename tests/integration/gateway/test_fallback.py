"""A second place for the same model: asked when the first fails before its first text."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
import pytest_asyncio

from b2b_chat.gateway.settings import GatewaySettings
from b2b_chat.kit.settings import Secret
from b2b_chat.sandbox.openai_simulator import SimulatorSettings
from support.gateway.app import events_of, failure_of, gateway, gateway_settings
from support.http.serving import free_port
from support.openai.simulated import Wire, simulated_openai

both_modes = pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])


@pytest_asyncio.fixture(scope="module")
async def second() -> AsyncIterator[Wire]:
    async with simulated_openai() as wire:
        yield wire


def failing(directives: str) -> AbstractAsyncContextManager[Wire]:
    """A first place with a fault of its own."""
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
@pytest.mark.parametrize("fault", ["status=401", "status=500", "status=503", "error=insufficient_quota", "status=429"])
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
        assert failure_of(answer)["code"] == "upstream_truncated"
        assert len(await first.seen()) == 1
    assert await second.seen() == []


async def test_when_both_fail_the_failure_is_reported(second: Wire) -> None:
    settings = settings_of(f"http://127.0.0.1:{free_port()}", second, upstream_max_attempts=1)
    async with gateway(settings) as client:
        refused = await client.post("[[simulate: status=503]]")
    assert (refused.status_code, failure_of(refused)["code"]) == (503, "upstream_unavailable")


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
