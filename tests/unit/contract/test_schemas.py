import json
from typing import Any

import msgspec
import pytest

from b2b_chat.contract.schemas import MODEL_GPT_5_2, ChatRequest, ChatResult, Ping, Usage
from support.gateway.chat_bodies import chat_request

decoder = msgspec.json.Decoder(ChatRequest)


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
        {"messages": [{"role": "user", "content": None}]},
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
        {"temperature": 1},
    ],
)
def test_what_is_not_in_the_contract_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        decoder.decode(json.dumps(chat_request() | changes))


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
