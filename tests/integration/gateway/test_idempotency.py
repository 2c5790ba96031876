"""One message, one answer: what is asked again is not asked of OpenAI again."""

import asyncio
import json
import secrets
from typing import Any
from uuid import uuid4

import httpx
import pytest

from support.gateway.app import Gateway, events_of, failure_of, gateway, gateway_settings
from support.gateway.chat_bodies import METADATA
from support.openai.simulated import Wire
from support.processes.waiting import until

both_modes = pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])


def named() -> dict[str, Any]:
    """Metadata of one message, to send more than once."""
    return {**METADATA, "message_id": str(uuid4())}


def result_of(response: httpx.Response) -> dict[str, Any]:
    body = json.loads(events_of(response)[-1].data) if "event-stream" in response.headers["content-type"] else None
    result: dict[str, Any] = body or response.json()
    return result


async def calls(openai: Wire, key: str) -> int:
    return len([call for call in await openai.seen() if call["key"] == key])


@both_modes
@pytest.mark.parametrize("stream_again", [False, True], ids=["again json", "again sse"])
async def test_an_answer_is_given_again_in_either_form(
    openai: Wire, patient: Gateway, *, stream: bool, stream_again: bool
) -> None:
    key, metadata = secrets.token_hex(4), named()
    prompt = f"[[simulate: key={key}]] Hello"
    first = await patient.post(prompt, stream=stream, metadata=metadata)
    again = await patient.post(prompt, stream=stream_again, metadata=metadata, max_completion_tokens=400)
    assert again.status_code == 200
    assert result_of(first) == result_of(again)
    if stream_again:
        texts = [json.loads(event.data)["text"] for event in events_of(again) if event.name == "delta"]
        assert "".join(texts) == result_of(first)["text"]
    assert await calls(openai, key) == 1


async def test_how_an_answer_ended_is_given_again_too(patient: Gateway) -> None:
    metadata = named()
    for stream in (True, False, True):
        answered = await patient.post("Hello", stream=stream, metadata=metadata, max_completion_tokens=3)
        told = json.loads(events_of(answered)[-1].data if stream else answered.content)
        assert (told["finish_reason"], told["usage"]["completion_tokens"]) == ("length", 3)


async def test_an_empty_answer_is_not_kept(patient: Gateway) -> None:
    metadata = named()
    for _ in range(2):
        answered = await patient.post("[[simulate: text=]]", stream=True, metadata=metadata)
        assert failure_of(answered)["code"] == "upstream_empty"


@both_modes
async def test_a_message_that_is_being_answered_is_not_begun_again(
    openai: Wire, patient: Gateway, *, stream: bool
) -> None:
    key, metadata = secrets.token_hex(4), named()
    prompt = f"[[simulate: delay_ms=700; key={key}]] Hello"
    first = asyncio.create_task(patient.post(prompt, stream=stream, metadata=metadata))

    async def is_running() -> bool:
        return await calls(openai, key) == 1

    await until(is_running)
    again = await patient.post(prompt, stream=stream, metadata=metadata)
    assert (again.status_code, failure_of(again)["code"]) == (409, "message_in_flight")
    assert failure_of(again)["retryable"] is True
    assert again.headers["retry-after"] == "1"
    assert (await first).status_code == 200
    assert result_of(await patient.post(prompt, stream=stream, metadata=metadata)) == result_of(await first)
    assert await calls(openai, key) == 1


@both_modes
async def test_an_id_stands_for_one_content(patient: Gateway, *, stream: bool) -> None:
    metadata = named()
    await patient.post("Hello", metadata=metadata)
    other = await patient.post("Good evening", stream=stream, metadata=metadata)
    assert (other.status_code, failure_of(other)["code"]) == (422, "idempotency_mismatch")
    assert failure_of(other)["retryable"] is False


async def test_the_same_id_in_another_company_is_another_message(openai: Wire, patient: Gateway) -> None:
    key, metadata = secrets.token_hex(4), named()
    await patient.post(f"[[simulate: key={key}]]", metadata=metadata)
    await patient.post(f"[[simulate: key={key}]]", metadata={**metadata, "company_id": str(uuid4())})
    assert await calls(openai, key) == 2


@both_modes
async def test_a_failure_is_not_remembered(openai: Wire, patient: Gateway, *, stream: bool) -> None:
    key, metadata = secrets.token_hex(4), named()
    prompt = f"[[simulate: status=400; fail_times=1; key={key}]] Hello"
    assert failure_of(await patient.post(prompt, stream=stream, metadata=metadata))["code"] == "upstream_rejected"
    assert (await patient.post(prompt, stream=stream, metadata=metadata)).status_code == 200
    assert await calls(openai, key) == 2


async def test_what_was_abandoned_can_be_asked_again(patient: Gateway) -> None:
    metadata = named()
    prompt = "[[simulate: tps=50; tokens=100]] Hello"
    async with patient.opened(prompt, metadata=metadata) as response:
        await anext(response.aiter_raw())

    async def is_answered() -> bool:
        return (await patient.post("[[simulate: tokens=2]] x", metadata=metadata)).status_code == 200

    await until(is_answered)  # even as other content: nothing is known of it any more


async def test_nothing_is_kept_beyond_its_ttl(openai: Wire) -> None:
    key, metadata = secrets.token_hex(4), named()
    settings = gateway_settings(openai_base_url=f"{openai.url}/v1", gateway_idempotency_ttl_seconds=0)
    async with gateway(settings) as client:
        for _ in range(2):
            await client.post(f"[[simulate: key={key}]]", metadata=metadata)
    assert await calls(openai, key) == 2
