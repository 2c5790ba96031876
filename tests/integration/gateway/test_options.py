"""Options, parts and tools on their way to OpenAI, and calls of tools on their way back."""

import json
from typing import Any, Final

import httpx
import msgspec
import pytest

from b2b_chat.contract.content import ToolCall, ToolCallPiece, joined_calls
from b2b_chat.gateway.settings import GatewaySettings
from support.gateway.app import Gateway, events_of, failure_of, gateway, gateway_settings
from support.gateway.chat_bodies import chat_request
from support.openai.raw import DONE, FINISH, USAGE, RawUpstream, data, delta, raw_upstream, streaming, whole
from support.openai.simulated import Wire

both_modes = pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
IMAGE: Final = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
CALL: Final = {"id": "call_1", "function": {"name": "find", "arguments": '{"who":"Ann"}'}, "type": "function"}
SCHEMA: Final = {
    "type": "object",
    "properties": {"who": {"type": "string"}, "many": {"type": "integer", "minimum": 2}},
    "required": ["who", "many"],
    "additionalProperties": False,
}
FIND: Final = {"function": {"name": "find", "description": "Finds.", "parameters": SCHEMA}, "type": "function"}
OPTIONS: Final[dict[str, Any]] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "frequency_penalty": -1.0,
    "presence_penalty": 2.0,
    "stop": ["END"],
    "seed": 7,
    "reasoning_effort": "low",
    "verbosity": "high",
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}},
    "tools": [FIND],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, IMAGE]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "42", "tool_call_id": "call_1"},
    ],
}
PLAIN: Final = (
    b'{"model":"gpt-5.2","messages":[{"role":"user","content":"Hi"}],"max_completion_tokens":500,"store":false,'
    b'"stream":true,"stream_options":{"include_usage":true}}'
)
ANSWER: Final = streaming(delta("Hello") + FINISH + USAGE + DONE)


def piece(**call: Any) -> bytes:
    """A chunk with a piece of a call."""
    return data({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, **call}]}}]})


def of_two(openai: RawUpstream, other: RawUpstream) -> GatewaySettings:
    """Settings with one upstream, and another to fall back to."""
    return gateway_settings(
        openai_base_url=openai.url,
        openai_fallback_base_url=other.url,
        openai_fallback_api_key=gateway_settings().openai_api_key,
        upstream_max_attempts=3,
    )


FINISHED: Final = data({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}) + USAGE + DONE
BEGUN: Final = piece(id="call_x", function={"name": "find", "arguments": '{"who":'})


def calls_of(response: httpx.Response) -> tuple[list[ToolCall], dict[str, Any]]:
    """The calls that a stream's pieces make up, and its result."""
    *events, final = events_of(response)
    pieces = [msgspec.json.decode(each.data, type=ToolCallPiece) for each in events if each.name == "tool_call"]
    assert final.name == "final"
    return joined_calls(pieces), json.loads(final.data)


async def test_a_plain_chat_asks_what_it_asked_before_there_were_options() -> None:
    async with raw_upstream(ANSWER) as openai, gateway(gateway_settings(openai_base_url=openai.url)) as client:
        response = await client.post(stream=True)
        assert openai.calls[0].body == PLAIN
        assert response.content.endswith(
            b'event: delta\ndata: {"text":"Hello"}\n\nevent: final\ndata: {"text":"Hello","usage":{"prompt_tokens":3,'
            b'"completion_tokens":2,"total_tokens":5},"finish_reason":"stop","upstream":"primary"}\n\n'
        )


async def test_each_option_reaches_openai_as_it_came_and_nothing_else_does() -> None:
    async with raw_upstream(ANSWER) as openai, gateway(gateway_settings(openai_base_url=openai.url)) as client:
        for number, (name, value) in enumerate(OPTIONS.items()):
            assert (await client.post(stream=True, **{name: value})).status_code == 200
            assert json.loads(openai.calls[number].body) == {**json.loads(PLAIN), name: value}


async def test_another_option_under_the_same_id_is_other_content() -> None:
    async with raw_upstream(ANSWER) as openai, gateway(gateway_settings(openai_base_url=openai.url)) as client:
        for name, value in OPTIONS.items():
            body = chat_request(stream=True)
            assert (await client.http.post("/v1/chat", json=body)).status_code == 200
            calls = len(openai.calls)
            changed = await client.http.post("/v1/chat", json={**body, name: value})
            assert failure_of(changed)["code"] == "idempotency_mismatch"
            assert len(openai.calls) == calls


@both_modes
async def test_calls_of_tools_are_answered_and_replayed(patient: Gateway, openai: Wire, *, stream: bool) -> None:
    await openai.forget()
    body = chat_request("[[simulate: tool]]", stream=stream, tools=[FIND])
    first = await patient.http.post("/v1/chat", json=body)
    again = await patient.http.post("/v1/chat", json=body)
    assert len(await openai.seen()) == 1
    for response in (first, again):
        made, result = calls_of(response) if stream else ([], response.json())
        [told] = result["tool_calls"]
        assert json.loads(told["function"]["arguments"]) == {"who": "simulated", "many": 2}
        assert (result["text"], result["finish_reason"]) == ("", "tool_calls")
        if stream:
            assert msgspec.to_builtins(made) == result["tool_calls"]


async def test_an_answer_keeps_to_its_schema(patient: Gateway) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}}
    response = await patient.post(response_format=form)
    assert json.loads(response.json()["text"]) == {"who": "simulated", "many": 2}


async def test_an_image_crosses_and_is_counted(patient: Gateway) -> None:
    text = {"type": "text", "text": "What is it?"}
    bare = (await patient.post(messages=[{"role": "user", "content": [text]}])).json()["usage"]["prompt_tokens"]
    seen = (await patient.post(messages=[{"role": "user", "content": [text, IMAGE]}])).json()["usage"]["prompt_tokens"]
    assert seen == bare + 70


@both_modes
async def test_a_refusal_is_named(patient: Gateway, *, stream: bool) -> None:
    response = await patient.post("[[simulate: refusal; text=No.]]", stream=stream)
    result = json.loads(events_of(response)[-1].data) if stream else response.json()
    assert (result["text"], result["refusal"]) == ("No.", True)
    if stream:
        assert {json.loads(each.data)["refusal"] for each in events_of(response)[:-1]} == {True}


@both_modes
async def test_a_rejected_option_is_named(patient: Gateway, *, stream: bool) -> None:
    response = await patient.post(stream=stream, temperature=0.5, reasoning_effort="high")
    assert response.status_code == 400
    error = failure_of(response)
    assert (error["code"], error["param"]) == ("upstream_rejected", "temperature")


@pytest.mark.parametrize("param", ["Ivan Ivanov", "user", "messages: hello", "tools[0].имя", 7, None, ["tools"]])
async def test_what_is_no_field_of_ours_is_not_passed_on_as_one(param: Any) -> None:
    body = json.dumps({"error": {"message": "No.", "type": "invalid_request_error", "param": param}}).encode()
    reply = whole(body, status="400 Bad Request")
    async with raw_upstream(reply) as openai, gateway(gateway_settings(openai_base_url=openai.url)) as client:
        assert "param" not in failure_of(await client.post(stream=True))


async def test_a_call_that_breaks_off_is_not_begun_again_by_the_gateway() -> None:
    """The product begins it anew, and asks the other upstream first."""
    async with (
        raw_upstream(streaming(BEGUN, end=False)) as openai,
        raw_upstream(streaming(BEGUN, piece(function={"arguments": '"Ann"}'}), FINISHED)) as other,
        gateway(of_two(openai, other)) as client,
    ):
        body = chat_request(stream=True, tools=[FIND])
        first = await client.http.post("/v1/chat", json=body)
        assert [event.name for event in events_of(first)] == ["tool_call", "error"]
        error = failure_of(first)
        assert (error["code"], error["upstream"]) == ("upstream_truncated", "primary")
        assert len(openai.calls) == 1
        second = await client.http.post("/v1/chat", json={**body, "avoid_upstream": "primary"})
        made, result = calls_of(second)
        assert [each.function.arguments for each in made] == ['{"who":"Ann"}']
        assert result["upstream"] == "fallback"


async def test_a_fallback_answers_with_calls_before_any_has_begun() -> None:
    failing = whole(b'{"error":{"message":"Down."}}', status="503 Service Unavailable")
    async with (
        raw_upstream(failing) as openai,
        raw_upstream(streaming(BEGUN, piece(function={"arguments": '"Ann"}'}), FINISHED)) as other,
        gateway(of_two(openai, other)) as client,
    ):
        response = await client.post(stream=False, tools=[FIND])
        assert response.json()["tool_calls"][0]["function"]["arguments"] == '{"who":"Ann"}'
        assert json.loads(other.calls[0].body)["tools"] == [FIND]
