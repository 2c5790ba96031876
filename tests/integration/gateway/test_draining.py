"""The end of a gateway: no new calls, a while for those under way, and a clear word to those that are cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY

from b2b_chat.contract.content import Piece
from b2b_chat.contract.schemas import MODEL_GPT_5_2, ChatMessage, ChatMetadata, ChatRequest, ChatResult
from b2b_chat.gateway.answers import Answers
from b2b_chat.gateway.errors import UpstreamFailure
from b2b_chat.gateway.idempotency import MemoryRecords
from b2b_chat.gateway.upstream import open_upstreams
from support.gateway.app import gateway_settings
from support.openai.simulated import Wire
from support.processes.waiting import until


@asynccontextmanager
async def answers(openai: Wire, **changes: Any) -> AsyncIterator[Answers]:
    settings = gateway_settings(openai_base_url=f"{openai.url}/v1", **changes)
    upstreams = open_upstreams(settings)
    try:
        yield Answers(upstreams, MemoryRecords(ttl_seconds=60, capacity_bytes=1_000_000), settings)
    finally:
        for upstream in upstreams:
            await upstream.close()


def request(prompt: str, *, stream: bool = True) -> ChatRequest:
    return ChatRequest(
        model=MODEL_GPT_5_2,
        messages=[ChatMessage("user", prompt)],
        stream=stream,
        max_completion_tokens=500,
        metadata=ChatMetadata(UUID(int=1), UUID(int=2), UUID(int=3), uuid4()),
    )


async def read(answers: Answers, asked: ChatRequest) -> ChatResult | str:
    """How an answer ends."""
    try:
        return await answers.answer(asked, "test", unheard)
    except UpstreamFailure as error:
        return error.failure.code


async def unheard(_piece: Piece) -> None:
    """Drain for so long: these tests end servers."""


async def begun(answers: Answers, asked: ChatRequest) -> asyncio.Task[ChatResult | str]:
    """An answer that is being written."""
    reading = asyncio.create_task(read(answers, asked))
    await asyncio.sleep(0.1)
    return reading


async def test_running_calls_finish_and_new_ones_are_refused(openai: Wire) -> None:
    async with answers(openai) as gateway:
        reading = await begun(gateway, request("[[simulate: tps=100; tokens=40]]"))
        draining = asyncio.create_task(gateway.drain(10))
        await asyncio.sleep(0)
        assert await read(gateway, request("Hello")) == "shutting_down"
        await draining
        assert isinstance(await reading, ChatResult)


async def test_with_nothing_under_way_it_is_over_at_once(openai: Wire) -> None:
    async with answers(openai) as gateway:
        assert isinstance(await read(gateway, request("Hello")), ChatResult)
        await asyncio.wait_for(gateway.drain(60), 5)


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
async def test_a_call_over_the_drain_deadline_is_ended_with_an_error(openai: Wire, *, stream: bool) -> None:
    async with answers(openai) as gateway:
        asked = request("[[simulate: tps=10; tokens=400; delay_ms=50]]", stream=stream)
        reading = await begun(gateway, asked)
        await gateway.drain(0.2)
        assert await asyncio.wait_for(reading, 5) == "shutting_down"


async def test_no_call_is_retried_while_draining(openai: Wire) -> None:
    async with answers(openai, upstream_max_attempts=5, upstream_retry_base_seconds=0) as gateway:
        reading = await begun(gateway, request("[[simulate: delay_ms=300; status=503]]"))
        await gateway.drain(10)
        assert await reading == "upstream_unavailable"


async def test_a_call_waiting_for_its_retry_is_ended_with_an_error(openai: Wire) -> None:
    async with answers(openai, upstream_max_attempts=5, upstream_retry_base_seconds=0) as gateway:
        asked = request("[[simulate: status=429; retry_after_ms=500]]")
        failed_before = failed_attempts()
        reading = asyncio.create_task(read(gateway, asked))

        async def waits_for_retry() -> bool:
            return failed_attempts() > failed_before

        # Where the drain overtakes the first attempt, the call ends as that attempt does.
        await until(waits_for_retry)
        await gateway.drain(10)
        assert await reading == "shutting_down"


def failed_attempts() -> float:
    labels = {"upstream": "primary", "code": "upstream_rate_limited"}
    return REGISTRY.get_sample_value("gateway_upstream_attempts_total", labels) or 0


async def test_a_stored_answer_is_replayed_while_draining(openai: Wire) -> None:
    async with answers(openai) as gateway:
        asked = request("Hello")
        first = await read(gateway, asked)
        await gateway.drain(1)
        assert await read(gateway, asked) == first
