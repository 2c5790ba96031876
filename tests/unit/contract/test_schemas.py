import json
from typing import Any

import msgspec
import pytest

from b2b_chat.contract.content import FunctionCall, ToolCall, ToolCallPiece, joined_calls
from b2b_chat.contract.options import OPTION_NAMES, ChatOptions, options_of
from b2b_chat.contract.schemas import (
    CONTRACT_VERSION,
    MODEL_GPT_5_2,
    ChatRequest,
    ChatResult,
    Ping,
    Usage,
    contract_of,
)
from support.gateway.chat_bodies import chat_request

decoder = msgspec.json.Decoder(ChatRequest)

IMAGE: dict[str, Any] = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
CALL: dict[str, Any] = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
OPTIONS: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "frequency_penalty": -1.0,
    "presence_penalty": 2.0,
    "stop": ["END", "КОНЕЦ"],
    "seed": -7,
    "reasoning_effort": "low",
    "verbosity": "high",
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "a", "schema": {"type": "object"}},
    },
    "tools": [{"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}}],
    "tool_choice": {"type": "function", "function": {"name": "find"}},
    "parallel_tool_calls": False,
}
TURNS: list[dict[str, Any]] = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "What is it?"}, IMAGE]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": "42", "tool_call_id": "call_1"},
]


def test_a_request_is_read() -> None:
    request = decoder.decode(json.dumps(chat_request("Привет")))
    assert request.model == MODEL_GPT_5_2
    assert [message.content for message in request.messages] == ["Привет"]


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "gpt-4"},
        {"messages": []},
        {"messages": [{"role": "tool", "content": "a"}]},
        {"messages": [{"role": "tool", "content": None, "tool_call_id": "call_1"}]},
        {"messages": [{"role": "critic", "content": "a"}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "user", "content": []}]},
        {"messages": [{"role": "user", "content": "a", "tool_call_id": "call_1"}]},
        {"messages": [{"role": "user", "content": "a", "tool_calls": [CALL]}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": []}]},
        {"messages": [{"role": "assistant", "content": [IMAGE]}]},
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
        {"messages": [{"role": "user", "content": [IMAGE | {"image_url": {"url": "https://example.test/a.png"}}]}]},
        {"messages": [{"role": "user", "content": [IMAGE | {"image_url": {"url": "data:text/html;base64,aa=="}}]}]},
        {"messages": [{"role": "user", "content": [IMAGE | {"image_url": IMAGE["image_url"] | {"detail": "best"}}]}]},
        {"messages": [{"role": "user", "content": "a", "name": "Ann"}]},
        {"messages": [{"role": "user", "content": "a"}] * 1025},
        {"stream": "true"},
        {"stream": 1},
        {"max_completion_tokens": 0},
        {"max_completion_tokens": "5"},
        {"max_completion_tokens": 1_000_001},
        {"max_completion_tokens": True},
        {"metadata": {}},
        {"metadata": {"email": "ann@example.test"}},
        {"temperature": 2.1},
        {"temperature": None},
        {"top_p": -0.1},
        {"frequency_penalty": 3},
        {"presence_penalty": "0"},
        {"stop": []},
        {"stop": ["a", "b", "c", "d", "e"]},
        {"stop": ""},
        {"seed": 1.5},
        {"reasoning_effort": "endless"},
        {"verbosity": "shouting"},
        {"response_format": {"type": "xml"}},
        {"response_format": {"type": "json_schema"}},
        {"tools": []},
        {"tools": [{"type": "function", "function": {"name": "two words"}}]},
        {"tools": [{"type": "function", "function": {"name": "line\n"}}]},
        {"tools": [{"type": "web_search"}]},
        {"tool_choice": "maybe"},
        {"tool_choice": {"type": "function"}},
        {"parallel_tool_calls": 1},
        {"n": 1},
        {"user": "ann@example.test"},
    ],
)
def test_what_is_not_in_the_contract_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        decoder.decode(json.dumps(chat_request() | changes))


def test_a_plain_chat_is_written_byte_for_byte_as_before_there_were_options() -> None:
    body = chat_request("Привет")
    assert (
        msgspec.json.encode(decoder.decode(json.dumps(body)))
        == json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    )


@pytest.mark.parametrize("name", list(OPTIONS))
def test_each_option_is_read_and_written_as_it_came(name: str) -> None:
    request = decoder.decode(json.dumps(chat_request() | {name: OPTIONS[name]}))
    assert list(options_of(request)) == [name]
    assert msgspec.json.decode(msgspec.json.encode(request))[name] == OPTIONS[name]
    assert contract_of(request.messages, request) == CONTRACT_VERSION == 3


def test_every_option_has_a_row() -> None:
    assert set(OPTIONS) == set(OPTION_NAMES)


def test_parts_and_tools_are_read_and_written_as_they_came() -> None:
    request = decoder.decode(json.dumps(chat_request() | {"messages": TURNS}))
    assert msgspec.json.decode(msgspec.json.encode(request))["messages"] == TURNS
    for message in request.messages:
        assert contract_of([message], ChatOptions()) == 3


def test_a_plain_chat_needs_no_new_gateway() -> None:
    request = decoder.decode(json.dumps(chat_request()))
    assert contract_of(request.messages, request) == 2


def test_pieces_make_up_calls() -> None:
    pieces = [
        ToolCallPiece(1, "b", "two", "{"),
        ToolCallPiece(0, "a", "one"),
        ToolCallPiece(1, arguments="}"),
        ToolCallPiece(0, arguments="[]"),
        ToolCallPiece(2, arguments="nameless"),
    ]
    assert joined_calls(pieces) == [
        ToolCall("a", FunctionCall("one", "[]")),
        ToolCall("b", FunctionCall("two", "{}")),
    ]


def test_no_usage_is_not_zero_usage() -> None:
    assert msgspec.json.encode(ChatResult("", None)) == (
        b'{"text":"","usage":null,"finish_reason":"stop","upstream":"primary"}'
    )
    assert b'"prompt_tokens":0' in msgspec.json.encode(ChatResult("", Usage(0, 0, 0)))


def test_kinds_of_tokens_are_reported_where_they_are_known() -> None:
    figures = b'{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14'
    assert msgspec.json.encode(Usage(9, 5, 14)) == figures + b"}"
    detailed = msgspec.json.encode(Usage(9, 5, 14, cached_tokens=4, reasoning_tokens=0))
    assert detailed == figures + b',"cached_tokens":4,"reasoning_tokens":0}'


def test_a_result_of_an_earlier_release_ended_by_itself() -> None:
    stored = b'{"text":"a","usage":null,"upstream":"fallback"}'
    assert msgspec.json.decode(stored, type=ChatResult) == ChatResult("a", None, "stop", "fallback")


@pytest.mark.parametrize("reason", ['"error"', '""', "null", '"STOP"'])
def test_no_other_way_to_end_is_known(reason: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(f'{{"text":"a","usage":null,"finish_reason":{reason}}}', type=ChatResult)


def test_a_gateway_without_a_contract_version_has_the_first() -> None:
    told = b'{"version":"0.1.0","model":"gpt-5.2","server_time":1}'
    assert msgspec.json.decode(told, type=Ping).contract == 1


@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens", "total_tokens"])
def test_nothing_is_counted_below_zero(name: str) -> None:
    figures = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, name: -1}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(figures, Usage)
