"""The happy path: what is asked of OpenAI, and how its answer comes back, in both modes."""

import asyncio
import gzip
import json
from typing import Any

import pytest

from b2b_chat.contract.sse import KEEP_ALIVE
from support.gateway.app import API_KEY, Gateway, events_of, failure_of, gateway, gateway_settings
from support.gateway.chat_bodies import METADATA
from support.openai.raw import DONE, FINISH, USAGE, RawCall, delta, raw_upstream, streaming, whole
from support.openai.simulated import Wire

both_modes = pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
COMPLETION = json.dumps(
    {
        "choices": [{"message": {"role": "assistant", "content": "ab"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
).encode()


async def ask(client: Gateway, prompt: str, *, stream: bool, **changes: Any) -> dict[str, Any]:
    """The result, whichever way it came; a stream's deltas are the result's text."""
    response = await client.post(prompt, stream=stream, **changes)
    assert response.status_code == 200
    if not stream:
        result: dict[str, Any] = response.json()
        return result
    *deltas, final = events_of(response)
    assert {event.name for event in deltas} <= {"delta"}
    assert final.name == "final"
    result = json.loads(final.data)
    assert "".join(json.loads(event.data)["text"] for event in deltas) == result["text"]
    return result


async def test_both_modes_give_the_same_answer(patient: Gateway) -> None:
    whole_result = await ask(patient, "Как варить рис? 🍚", stream=False)
    streamed = await ask(patient, "Как варить рис? 🍚", stream=True)
    assert whole_result == streamed
    assert "Как варить рис? 🍚" in streamed["text"]
    assert streamed["usage"]["completion_tokens"] > 0


async def test_a_stream_has_the_headers_that_keep_it_a_stream(patient: Gateway) -> None:
    response = await patient.post(stream=True)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-accel-buffering"] == "no"


@both_modes
@pytest.mark.parametrize("directive", ["usage=none", "usage=zero"])
async def test_no_usage_is_not_zero_usage(patient: Gateway, directive: str, *, stream: bool) -> None:
    """Nor are zeros for a text any usage."""
    assert (await ask(patient, f"[[simulate: {directive}]]", stream=stream))["usage"] is None


@both_modes
async def test_kinds_of_tokens_are_reported(patient: Gateway, *, stream: bool) -> None:
    usage = (await ask(patient, "[[simulate: reasoning_tokens=5; cached_tokens=1; tokens=9]]", stream=stream))["usage"]
    assert (usage["reasoning_tokens"], usage["cached_tokens"]) == (5, 1)
    assert usage["completion_tokens"] == 14


@pytest.mark.parametrize("directive", ["usage=bare", "usage=twice", "usage=after_done", "usage=with_finish"])
async def test_usage_is_found_wherever_it_stands(patient: Gateway, directive: str) -> None:
    usage = (await ask(patient, f"[[simulate: {directive};tokens=9]]", stream=True))["usage"]
    assert usage["completion_tokens"] == 9


@pytest.mark.parametrize("framing", ["crlf", "cr", "comments", "fields", "no_space", "multiline", "split"])
async def test_events_may_be_written_in_any_form(patient: Gateway, framing: str) -> None:
    plain = await ask(patient, "Привет [[simulate: tokens=12]]", stream=True)
    framed = await ask(patient, f"Привет [[simulate: tokens=12;framing={framing}]]", stream=True)
    assert framed["text"] == plain["text"]


@pytest.mark.parametrize("kind", ["utf8", "no_choices"])
async def test_an_event_that_only_looks_wrong_is_survived(patient: Gateway, kind: str) -> None:
    result = await ask(patient, f"[[simulate: malformed_after=3;malformed={kind};tokens=9]]", stream=True)
    assert result["usage"]["completion_tokens"] == 9


@both_modes
async def test_half_an_emoji_becomes_a_replacement_character_and_a_nul_stays(patient: Gateway, *, stream: bool) -> None:
    result = await ask(patient, "[[simulate: text=a%00b%ED%A0%80c%EF%BF%BF]]", stream=stream)
    assert result["text"] == "a\0b�c\uffff"


@both_modes
@pytest.mark.parametrize(
    ("directive", "max_tokens", "reason"),
    [("tokens=3", 500, "stop"), ("tokens=30", 3, "length"), ("content_filter_after=3", 500, "content_filter")],
)
async def test_how_an_answer_ended_is_reported(
    patient: Gateway, directive: str, max_tokens: int, reason: str, *, stream: bool
) -> None:
    result = await ask(patient, f"[[simulate: {directive}]]", stream=stream, max_completion_tokens=max_tokens)
    assert (result["finish_reason"], result["usage"]["completion_tokens"]) == (reason, 3)


async def test_deltas_that_come_together_are_one_event(patient: Gateway) -> None:
    response = await patient.post("[[simulate: tokens=100;burst=50]]", stream=True)
    assert [event.name for event in events_of(response)].count("delta") <= 10


async def test_separate_deltas_stay_separate(patient: Gateway) -> None:
    async with patient.opened("[[simulate: tokens=10;tps=20]]") as response:
        chunks = [chunk async for chunk in response.aiter_raw()]
    assert len([chunk for chunk in chunks if b"event: delta" in chunk]) >= 5


@both_modes
async def test_openai_is_asked_what_the_product_asked_and_nothing_more(*, stream: bool) -> None:
    reply = streaming(delta("ab"), FINISH, USAGE, DONE) if stream else whole(COMPLETION)
    async with raw_upstream(reply) as upstream, gateway(gateway_settings(openai_base_url=upstream.url)) as client:
        client.http.headers["X-Request-ID"] = "call-7"
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Привет"}]
        assert (await ask(client, "", stream=stream, messages=messages))["text"] == "ab"
    (call,) = upstream.calls
    assert call.line == "POST /v1/chat/completions HTTP/1.1"
    asked = json.loads(call.body)
    expected: dict[str, Any] = {
        "model": "gpt-5.2",
        "messages": messages,
        "max_completion_tokens": 500,
        "store": False,
        "stream": stream,
    }
    assert asked == expected | ({"stream_options": {"include_usage": True}} if stream else {})
    assert call.headers["authorization"] == f"Bearer {API_KEY}"
    assert call.headers["content-type"] == "application/json"
    assert call.headers["x-client-request-id"] == "call-7"
    sent = json.dumps(call.headers) + call.body.decode()
    assert not any(value in sent for value in METADATA.values())
    assert not {"x-signature", "x-nonce", "x-timestamp"} & call.headers.keys()


async def test_an_answer_is_asked_for_as_it_is_and_not_taken_otherwise() -> None:
    stream = gzip.compress(delta("ab") + FINISH + USAGE + DONE)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"

    async def reply(call: RawCall) -> None:
        await call.send(head % len(stream) + stream)

    async with raw_upstream(reply) as upstream, gateway(gateway_settings(openai_base_url=upstream.url)) as client:
        refused = await client.post("Hi", stream=True)
    assert failure_of(refused)["code"] == "upstream_malformed"
    assert upstream.calls[0].headers["accept-encoding"] == "identity"


@both_modes
async def test_a_connection_to_openai_is_used_again(*, stream: bool) -> None:
    connections: set[int] = set()

    async def reply(call: RawCall) -> None:
        connections.add(id(call._writer))
        await (streaming(delta("ab"), FINISH, USAGE, DONE) if stream else whole(COMPLETION))(call)

    async with raw_upstream(reply) as upstream, gateway(gateway_settings(openai_base_url=upstream.url)) as client:
        for _ in range(5):
            await ask(client, "Hi", stream=stream)
    assert len(upstream.calls) == 5
    assert len(connections) == 1


async def test_a_stream_that_does_not_end_after_its_end_mark_is_complete_all_the_same() -> None:
    async def reply(call: RawCall) -> None:
        await streaming(delta("ab"), FINISH, USAGE, DONE, b": what else\n\n")(call)

    async def reply_without_end(call: RawCall) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for event in (delta("ab"), FINISH, USAGE, DONE):
            await call.send_chunk(event)
        await asyncio.sleep(30)

    for way in (reply, reply_without_end):
        async with raw_upstream(way) as upstream, gateway(gateway_settings(openai_base_url=upstream.url)) as client:
            assert (await ask(client, "Hi", stream=True))["usage"]["total_tokens"] == 5


async def test_silence_is_filled_with_comments(openai: Wire) -> None:
    settings = gateway_settings(openai_base_url=f"{openai.url}/v1", sse_keep_alive_seconds=0.05)
    async with gateway(settings) as client:
        response = await client.post("[[simulate: tps=100;stall_after=3;stall_seconds=0.4]]", stream=True)
    assert response.content.count(KEEP_ALIVE) >= 2
    assert events_of(response)[-1].name == "final"


async def test_many_at_once_do_not_mix(patient: Gateway) -> None:
    prompts = [f"Question number {number}" for number in range(40)]
    results = await asyncio.gather(*[ask(patient, prompt, stream=n % 2 == 0) for n, prompt in enumerate(prompts)])
    assert all(f"“{prompt}”" in result["text"] for prompt, result in zip(prompts, results, strict=True))


async def test_a_stream_whose_first_text_is_slow_begins_with_a_comment(openai: Wire) -> None:
    settings = gateway_settings(openai_base_url=f"{openai.url}/v1", stream_start_seconds=0.1)
    async with gateway(settings) as client, client.opened("[[simulate: delay_ms=500; tokens=2]]") as response:
        assert response.status_code == 200
        chunks = response.aiter_raw()
        assert await anext(chunks) == KEEP_ALIVE
        rest = b"".join([chunk async for chunk in chunks])
    assert rest.startswith(b"event: delta")
    assert b"event: final" in rest


async def test_a_failure_after_a_stream_has_begun_is_an_event(openai: Wire) -> None:
    settings = gateway_settings(openai_base_url=f"{openai.url}/v1", stream_start_seconds=0)
    async with gateway(settings) as client:
        response = await client.post("[[simulate: delay_ms=200; status=401]]", stream=True)
    assert response.status_code == 200
    assert [event.name for event in events_of(response)] == ["error"]
    assert json.loads(events_of(response)[0].data)["error"]["code"] == "upstream_authentication"
