"""Requests to the Chat Completions API, whole answers, and the usage that both kinds of answers report."""

import json
from typing import Any

import msgspec
import pytest

from b2b_chat.contract.schemas import ChatRequest, ChatResult, FinishReason, Usage
from b2b_chat.gateway.errors import UpstreamFailure
from b2b_chat.gateway.openai_wire import encode_request, read_whole
from support.gateway.chat_bodies import chat_request
from support.openai.raw import DONE, FINISH, USAGE, data, delta
from support.openai.wire import FIGURES, choice, code_of, read_stream, whole


class TestRequest:
    def encoded(self, *, stream: bool = False, **changes: Any) -> dict[str, Any]:
        request = msgspec.convert(chat_request("Привет", **changes), ChatRequest)
        encoded: dict[str, Any] = json.loads(encode_request(request, stream=stream))
        return encoded

    def test_asks_what_the_product_asked_and_to_keep_nothing(self) -> None:
        assert self.encoded(max_completion_tokens=7) == {
            "model": "gpt-5.2",
            "messages": [{"role": "user", "content": "Привет"}],
            "max_completion_tokens": 7,
            "store": False,
            "stream": False,
        }

    def test_a_stream_is_asked_to_count(self) -> None:
        encoded = self.encoded(stream=True)
        assert encoded["stream"] is True
        assert encoded["stream_options"] == {"include_usage": True}

    def test_nothing_identifies_the_person(self) -> None:
        ids = chat_request()["metadata"].values()
        assert not any(value in json.dumps(self.encoded(stream=True)) for value in ids)


class TestWhole:
    def test_is_read(self) -> None:
        assert read_whole(whole()) == ChatResult("Hello", FIGURES)

    @pytest.mark.parametrize(
        ("sent", "reason"),
        [
            ("stop", "stop"),
            ("length", "length"),
            ("tool_calls", "tool_calls"),
            ("content_filter", "content_filter"),
            ("function_call", "tool_calls"),
        ],
    )
    def test_how_it_ended_is_reported(self, sent: str, reason: FinishReason) -> None:
        assert read_whole(whole(choices=choice(finish_reason=sent))) == ChatResult("Hello", FIGURES, reason)

    def test_a_refusal_in_words_is_an_answer(self) -> None:
        assert read_whole(whole(choices=choice(None, refusal="I would rather not."))).text == "I would rather not."

    def test_a_text_beside_calls_of_tools_stands(self) -> None:
        calls = [{"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
        answer = read_whole(whole(choices=choice("Hello", "tool_calls", tool_calls=calls)))
        assert (answer.text, answer.finish_reason) == ("Hello", "tool_calls")

    def test_a_server_may_stream_what_was_asked_whole(self) -> None:
        assert read_whole(delta("Hel") + delta("lo") + FINISH + USAGE) == ChatResult("Hello", FIGURES)

    @pytest.mark.parametrize(
        "content",
        [
            [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}],
            [{"type": "thinking", "thinking": "Hm."}, {"type": "output_text", "text": "Hello"}],
            ["Hel", {"text": "lo"}, None],
            [{"type": "refusal", "refusal": "Hello"}],
            [{"type": "text", "text": "Hello"}, {"type": "reference", "reference_ids": [1]}],
        ],
    )
    def test_a_text_may_come_in_parts(self, content: Any) -> None:
        assert read_whole(whole(choices=choice(content))).text == "Hello"
        parts = data({"choices": [{"delta": {"content": content}}]})
        assert read_stream(parts, FINISH, DONE)[1].text == "Hello"

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (whole(choices=choice(None, "content_filter")), "content_filtered"),
            (whole(choices=choice(finish_reason=None)), "upstream_truncated"),
            (whole(choices=choice(finish_reason="")), "upstream_truncated"),
            (whole(choices=[{"index": 0, "message": {"content": "a"}}]), "upstream_truncated"),
            (whole(choices=choice(finish_reason="error")), "upstream_failed"),
            (whole(choices=choice(finish_reason="STOP")), "upstream_failed"),
            (whole(choices=[{"message": {"content": "a"}, "finish_reason": 1}]), "upstream_failed"),
            (whole(choices=[{"message": {"content": "a"}, "finish_reason": {"type": "stop"}}]), "upstream_failed"),
            (whole(choices=choice(None)), "upstream_empty"),
            (whole(choices=choice(None, "length")), "upstream_empty"),
            (whole(choices=choice("", "tool_calls", tool_calls=[])), "upstream_empty"),
            (whole(choices=choice(" \n", "stop")), "upstream_empty"),
            (whole(choices=choice([])), "upstream_empty"),
            (whole(choices=[{"message": None, "finish_reason": "stop"}]), "upstream_empty"),
            (whole(choices=[]), "upstream_malformed"),
            (whole(choices=None), "upstream_malformed"),
            (whole(choices={"message": {"content": "a"}}), "upstream_malformed"),
            (whole(choices=["a"]), "upstream_malformed"),
            (whole(choices=choice(7)), "upstream_malformed"),
            (whole(choices=choice({"text": "a"})), "upstream_malformed"),
            (whole(choices=choice([7])), "upstream_malformed"),
            (whole(choices=choice([{"type": "text", "text": 7}])), "upstream_malformed"),
            (whole(choices=choice([{"type": "of a newer kind", "text": "a"}])), "upstream_malformed"),
            (whole(choices=[{"message": "a", "finish_reason": "stop"}]), "upstream_malformed"),
            (b"{}", "upstream_malformed"),
            (b"", "upstream_truncated"),
            (b"[]", "upstream_malformed"),
            (b"{" * 100_000, "upstream_malformed"),
            (whole()[:-5], "upstream_malformed"),
            (b'{"choices":[{"message":{"content":"\xff"},"finish_reason":"stop"}]}', "upstream_malformed"),
            (b'{"error":{"message":"x","type":"server_error","code":null}}', "upstream_failed"),
            (b'{"error":{"message":"x","type":"x","code":"rate_limit_exceeded"}}', "upstream_rate_limited"),
            (b'{"error":{"message":"x","code":402}}', "upstream_quota_exhausted"),
            (b'{"error":{"message":"x","code":"402"}}', "upstream_quota_exhausted"),
            (b'{"error":"insufficient_quota"}', "upstream_quota_exhausted"),
            (b'{"detail":"Invalid API key"}', "upstream_authentication"),
            (b'{"object":"error","message":"x","code":"context_length_exceeded"}', "context_length_exceeded"),
            (b'[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}]', "upstream_rate_limited"),
            (whole(error={"code": "invalid_prompt"}), "content_filtered"),
            (whole(choices=[{"error": {"code": 402}, "finish_reason": "error"}]), "upstream_quota_exhausted"),
        ],
    )
    def test_an_invalid_answer_is_a_failure(self, body: bytes, code: str) -> None:
        with pytest.raises(UpstreamFailure) as error:
            read_whole(body)
        assert code_of(error) == code


def tokens(prompt: Any = 3, completion: Any = 2, total: Any = 5, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, **more}


USAGES: list[tuple[Any, Usage | None]] = [
    (tokens(), FIGURES),
    (tokens(3.0, 2.0, 5.0), FIGURES),
    (tokens(total=None), FIGURES),
    (tokens(total=0), FIGURES),
    (tokens(total=4), FIGURES),
    (tokens(total=9), Usage(3, 2, 9)),
    (tokens(total="5"), FIGURES),
    ({"prompt_tokens": 3, "completion_tokens": 2}, FIGURES),
    (tokens(cost=0.01, prompt_tokens_details=None), FIGURES),
    (tokens(prompt_tokens_details={"cached_tokens": 3}), Usage(3, 2, 5, cached_tokens=3)),
    (tokens(completion_tokens_details={"reasoning_tokens": 0}), Usage(3, 2, 5, reasoning_tokens=0)),
    (tokens(completion_tokens_details={"reasoning_tokens": 1.0}), Usage(3, 2, 5, reasoning_tokens=1)),
    (tokens(prompt_tokens_details={"cached_tokens": 4}), FIGURES),
    (tokens(prompt_tokens_details={"cached_tokens": "3"}), FIGURES),
    (tokens(prompt_tokens_details=[]), FIGURES),
    (tokens(completion_tokens_details={"reasoning_tokens": -1}), FIGURES),
    (tokens(completion_tokens_details={}), FIGURES),
    (None, None),
    ({}, None),
    ([], None),
    ("none", None),
    (7, None),
    (tokens(0, 0, 0), None),
    (tokens(3, 0, 3), None),
    (tokens(0, 2, 2), None),
    (tokens(prompt=-1), None),
    (tokens(completion=-2), None),
    (tokens(prompt=None), None),
    (tokens(completion="2"), None),
    (tokens(prompt=True), None),
    (tokens(completion=1.5), None),
    (tokens(prompt=10**30), None),
    (tokens(prompt=2**40), None),
    ({"prompt_tokens": 3}, None),
    ({"total_tokens": 5}, None),
]


@pytest.mark.parametrize(("sent", "usage"), USAGES)
class TestUsage:
    def test_of_a_whole_answer_never_costs_its_text(self, sent: Any, usage: Usage | None) -> None:
        assert read_whole(whole(usage=sent)) == ChatResult("Hello", usage)

    def test_of_a_stream_never_costs_its_text(self, sent: Any, usage: Usage | None) -> None:
        for last in (data({"choices": [], "usage": sent}), data({"choices": None, "usage": sent})):
            assert read_stream(delta("Hello"), FINISH, last, DONE)[1] == ChatResult("Hello", usage)
        with_text = data({"choices": [{"delta": {"content": "Hello"}, "finish_reason": "stop"}], "usage": sent})
        assert read_stream(with_text, DONE)[1] == ChatResult("Hello", usage)
