import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2b_chat.contract.schemas import ChatRequest, ChatResult, FinishReason, Usage
from b2b_chat.gateway.errors import UpstreamFailure
from b2b_chat.gateway.openai_wire import MAX_EVENT_BYTES, StreamReader, encode_request, read_whole
from support.gateway.chat_bodies import chat_request
from support.openai.raw import DONE, FINISH, USAGE, data, delta

FIGURES = Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)


def whole(**changes: Any) -> bytes:
    """The body of a call that was not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": "Hello", "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {**msgspec.to_builtins(FIGURES), "prompt_tokens_details": {"audio_tokens": 0}}
    return json.dumps({"id": "x", "choices": [choice], "usage": usage, "service_tier": "default", **changes}).encode()


def choice(content: Any = "Hello", finish_reason: str | None = "stop", **message: Any) -> list[dict[str, Any]]:
    return [{"index": 0, "message": {"content": content, **message}, "finish_reason": finish_reason}]


def read_stream(*chunks: bytes) -> tuple[list[str], ChatResult]:
    reader = StreamReader()
    texts = [text for chunk in chunks if (text := reader.feed(chunk))]
    reader.end()
    return texts, reader.result()


def code_of(error: pytest.ExceptionInfo[UpstreamFailure]) -> str:
    return error.value.failure.code


class TestRequest:
    def encoded(self, **changes: Any) -> dict[str, Any]:
        request = msgspec.convert(chat_request("Привет", **changes), ChatRequest)
        encoded: dict[str, Any] = json.loads(encode_request(request))
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
            (whole(choices=choice("", "tool_calls", tool_calls=[{"id": "x"}])), "upstream_empty"),
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


NOTHING_SAID = {
    "null_delta": data({"choices": [{"index": 0, "delta": None, "finish_reason": None}]}),
    "no_delta": data({"choices": [{"index": 0}]}),
    "null_choices": data({"choices": None}),
    "null_choice": data({"choices": [None]}),
    "no_choices": data({"choices": []}),
    "an_object": data({}),
    "keep_alive": b'event: keepalive\ndata: {"type":"keepalive","sequence_number":3}\n\n',
    "unnamed_keep_alive": data({"type": "keepalive"}),
    "ping": b"event: ping\ndata: {}\n\n",
    "ping_in_words": b"event: ping\ndata: 2026-12-01 00:00:00\n\n",
    "no_data": b"data:\n\n",
    "no_colon": b"data\n\n",
    "blank_data": b"data:   \n\n",
    "comment": b": OPENROUTER PROCESSING\n\n",
    "empty_comment": b":\n\n",
    "retry": b"retry: 3000\n\n",
    "id": b"id: 7\n\n",
    "of_a_newer_kind": b"event: annotations\ndata: [1, 2]\n\n",
    "azures_first": data({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}),
    "odd_ids": data({"id": 7, "created": "now", "model": None, "choices": [{"index": "0", "delta": {}}]}),
    "no_error": data({"choices": [], "error": {}}),
    "role": data({"choices": [{"delta": {"role": "assistant", "content": None, "tool_calls": None}}]}),
    "a_call_of_a_tool": data({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "f"}}]}}]}),
    "blank_reason": data({"choices": [{"delta": {}, "finish_reason": ""}]}),
    "reasoning": data({"choices": [{"delta": {"reasoning_content": "Hm.", "content": ""}}]}),
    "surplus": b'data: {"choices":[],"x":NaN,"y":"\\ud83d"}\n\n',
}


class TestStream:
    def test_is_read_piece_by_piece(self) -> None:
        assert read_stream(delta("Hel"), delta("lo"), FINISH, USAGE, DONE) == (
            ["Hel", "lo"],
            ChatResult("Hello", FIGURES),
        )

    def test_what_comes_together_is_one_piece(self) -> None:
        assert read_stream(delta("Hel") + delta("lo"), FINISH + USAGE + DONE)[0] == ["Hello"]

    def test_bytes_that_complete_no_event_give_nothing(self) -> None:
        reader = StreamReader()
        assert reader.feed(delta("a")[:-1]) is None
        assert reader.feed(b"\n") == "a"

    def test_an_event_without_text_is_a_sign_of_life(self) -> None:
        assert StreamReader().feed(FINISH) == ""
        assert StreamReader().feed(b": comment\n\n") is None
        assert StreamReader().feed(b"event: ping\ndata: {}\n\n") is None

    @pytest.mark.parametrize("event", NOTHING_SAID.values(), ids=NOTHING_SAID)
    def test_what_says_nothing_costs_nothing(self, event: bytes) -> None:
        answer = ChatResult("Hello", FIGURES)
        assert (
            read_stream(event, delta("Hel"), event, delta("lo"), event, FINISH, event, USAGE, event, DONE)[1] == answer
        )
        assert read_stream(event + delta("Hel") + event + delta("lo") + FINISH + event + USAGE + DONE)[1] == answer

    def test_usage_may_be_missing_late_early_or_repeated(self) -> None:
        twice = data({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}})
        assert read_stream(delta("a"), FINISH, DONE)[1].usage is None
        assert read_stream(delta("a"), FINISH, DONE + USAGE)[1].usage == FIGURES
        assert read_stream(USAGE, delta("a"), FINISH, DONE)[1].usage == FIGURES
        assert read_stream(delta("a"), FINISH, twice, USAGE, DONE)[1].usage == FIGURES

    def test_a_refusal_in_words_is_an_answer(self) -> None:
        refusal = data({"choices": [{"delta": {"refusal": "I would rather not."}}]})
        assert read_stream(refusal, FINISH, DONE)[1].text == "I would rather not."

    @pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter"])
    def test_how_it_ended_is_reported(self, reason: str) -> None:
        end = data({"choices": [{"delta": {}, "finish_reason": reason}]})
        assert read_stream(delta("a"), end, DONE)[1].finish_reason == reason

    @pytest.mark.parametrize(
        ("end", "code"),
        [
            ({"finish_reason": "content_filter"}, "content_filtered"),
            ({"finish_reason": "stop"}, "upstream_empty"),
            ({"finish_reason": "length"}, "upstream_empty"),
            ({"finish_reason": "tool_calls"}, "upstream_empty"),
            ({"finish_reason": "error"}, "upstream_failed"),
            ({}, "upstream_truncated"),
        ],
    )
    def test_an_answer_without_text_is_none(self, end: dict[str, Any], code: str) -> None:
        with pytest.raises(UpstreamFailure) as error:
            read_stream(data({"choices": [{"delta": {}, **end}]}), USAGE, DONE)
        assert code_of(error) == code

    @pytest.mark.parametrize("reason", ["error", "insufficient_system_resource", "STOP", "eos"])
    def test_an_unknown_reason_to_end_is_a_failure(self, reason: str) -> None:
        with pytest.raises(UpstreamFailure) as error:
            read_stream(delta("a"), data({"choices": [{"delta": {}, "finish_reason": reason}]}), USAGE, DONE)
        assert code_of(error) == "upstream_failed"

    @pytest.mark.parametrize(
        "last", [b"", DONE, DONE[:-1], DONE[:-2], b"data:[DONE]", b"data: [DONE] \r\n", b"data: [DO", b'data: {"cho']
    )
    def test_a_clean_end_after_the_reason_is_an_end(self, last: bytes) -> None:
        assert read_stream(delta("a"), FINISH, USAGE, last) == (["a"], ChatResult("a", FIGURES))

    def test_the_last_line_counts_without_a_blank_one(self) -> None:
        assert read_stream(delta("a"), FINISH, USAGE[:-2])[1].usage == FIGURES
        last = data({"choices": [{"delta": {"content": "b"}, "finish_reason": "stop"}]})
        assert read_stream(delta("a"), last[:-1])[1].text == "ab"
        with pytest.raises(UpstreamFailure) as error:
            read_stream(delta("a"), data({"error": {"code": 402}})[:-2])
        assert code_of(error) == "upstream_quota_exhausted"

    @pytest.mark.parametrize("chunks", [[], [delta("a")], [delta("a"), USAGE], [delta("a"), FINISH[:-9]]])
    def test_without_a_reason_to_end_it_is_truncated(self, chunks: list[bytes]) -> None:
        for end in ([], [DONE]):
            with pytest.raises(UpstreamFailure) as error:
                read_stream(*chunks, *end)
            assert code_of(error) in {"upstream_truncated", "upstream_malformed"}

    def test_before_the_body_has_ended_it_is_truncated(self) -> None:
        reader = StreamReader()
        reader.feed(delta("a") + FINISH + USAGE)
        with pytest.raises(UpstreamFailure) as error:
            reader.result()
        assert code_of(error) == "upstream_truncated"

    @pytest.mark.parametrize(
        "event",
        [
            b'data: {"choices":\n\n',
            b"data: 42\n\n",
            b"data: [1]\n\n",
            b'data: "text"\n\n',
            b"data: null\n\n",
            b'data: {"choices":{"delta":"x"}}\n\n',
            b'data: {"choices":"x"}\n\n',
            b'data: {"choices":[{"delta":"x"}]}\n\n',
            b'data: {"choices":[{"delta":{"content":7}}]}\n\n',
            b'data: {"choices":[{"delta":{"content":"\xff\xfe"}}]}\n\n',
            b'data: {"choices":[{"delta":{"content":"\\ud800"}}]\n\n',
            b"data: [DONE]x\n\n",
        ],
    )
    def test_an_event_that_makes_no_sense_is_a_failure(self, event: bytes) -> None:
        with pytest.raises(UpstreamFailure) as error:
            read_stream(delta("a"), event, FINISH, DONE)
        assert code_of(error) == "upstream_malformed"

    def test_an_event_without_end_is_a_failure(self) -> None:
        with pytest.raises(UpstreamFailure) as error:
            StreamReader().feed(b"data: " + b"a" * MAX_EVENT_BYTES)
        assert code_of(error) == "upstream_malformed"

    @pytest.mark.parametrize(
        ("event", "code"),
        [
            (data({"error": {"message": "secret", "type": "server_error", "code": None}}), "upstream_failed"),
            (data({"error": {"message": "secret", "type": "insufficient_quota"}}), "upstream_quota_exhausted"),
            (data({"error": {"message": "secret", "code": "context_length_exceeded"}}), "context_length_exceeded"),
            (data({"choices": [], "error": {"code": 402, "message": "secret"}}), "upstream_quota_exhausted"),
            (data({"choices": [], "error": {"code": "402"}}), "upstream_quota_exhausted"),
            (data({"choices": [{"delta": {"content": "b"}, "error": {"code": 401}}]}), "upstream_authentication"),
            (data({"error": "secret"}), "upstream_failed"),
            (data({"detail": "model overloaded"}), "upstream_failed"),
            (data({"object": "error", "message": "secret", "code": 503}), "upstream_unavailable"),
            (data({"code": "invalid_prompt", "message": "secret"}), "content_filtered"),
            (b"event: error\n" + data({"message": "secret", "code": 401}), "upstream_authentication"),
            (b"event: error\n" + data({"error": {"type": "overloaded_error"}}), "upstream_unavailable"),
            (b"event: error\ndata: insufficient credits\n\n", "upstream_quota_exhausted"),
            (b"event: error\ndata: {}\n\n", "upstream_failed"),
            (b"event: ping\n" + data({"error": {"code": "invalid_api_key"}}), "upstream_authentication"),
        ],
    )
    def test_an_error_inside_is_named(self, event: bytes, code: str) -> None:
        for begun in ([], [delta("a")], [delta("a"), FINISH]):
            with pytest.raises(UpstreamFailure) as caught:
                read_stream(*begun, event, DONE)
            assert code_of(caught) == code
            assert "secret" not in str(caught.value)


class TestDocumentInsteadOfStream:
    @pytest.mark.parametrize("start", [b"", b" \n", b"\xef\xbb\xbf"])
    def test_a_whole_answer_stands(self, start: bytes) -> None:
        document = start + whole()
        assert read_stream(document) == ([], ChatResult("Hello", FIGURES))
        assert read_stream(document[:20], document[20:]) == ([], ChatResult("Hello", FIGURES))

    @pytest.mark.parametrize("blank", [b"\n", b"\r\n", b" ", b"\n\n"])
    def test_blank_lines_may_keep_it_alive(self, blank: bytes) -> None:
        assert read_stream(blank, blank, whole()) == ([], ChatResult("Hello", FIGURES))
        assert read_whole(blank * 3 + whole()) == ChatResult("Hello", FIGURES)
        assert read_stream(blank, blank, delta("Hello"), FINISH, USAGE, DONE)[1] == ChatResult("Hello", FIGURES)

    @pytest.mark.parametrize(
        ("document", "code"),
        [
            (b'{"error":{"code":"context_length_exceeded"}}', "context_length_exceeded"),
            (b'{"detail":"Insufficient balance"}', "upstream_quota_exhausted"),
            (b'[{"error":{"status":"UNAUTHENTICATED"}}]', "upstream_authentication"),
            (b'{"error"', "upstream_malformed"),
            (b"{}", "upstream_malformed"),
            (whole(choices=choice("")), "upstream_empty"),
        ],
    )
    def test_an_error_is_read(self, document: bytes, code: str) -> None:
        with pytest.raises(UpstreamFailure) as caught:
            read_stream(document)
        assert code_of(caught) == code

    def test_it_may_not_grow_for_ever(self) -> None:
        reader = StreamReader()
        reader.feed(b"{")
        with pytest.raises(UpstreamFailure) as error:
            reader.feed(b" " * MAX_EVENT_BYTES)
        assert code_of(error) == "upstream_malformed"


ANSWER = delta("При") + delta("вет 🚀") + FINISH + USAGE + DONE
FORMS = {
    "as_is": ANSWER,
    "mark": b"\xef\xbb\xbf" + ANSWER,
    "crlf": ANSWER.replace(b"\n", b"\r\n"),
    "cr": ANSWER.replace(b"\n", b"\r"),
    "mixed": ANSWER.replace(b"\n\n", b"\r\n\n"),
    "no_space": ANSWER.replace(b"data: ", b"data:"),
    "spaces": ANSWER.replace(b"data: ", b"data:   "),
    "lines": ANSWER.replace(b',"', b',\ndata: "'),
    "fields": ANSWER.replace(b"data: ", b"event: message\nid: 1\nretry: 5\nfoo: bar\ndata: "),
    "other_name": ANSWER.replace(b"data: ", b"event: chunk\ndata: "),
    "blank_lines": b"\n\n" + ANSWER.replace(b"\n\n", b"\n\n\n"),
    "no_blank_line_at_last": ANSWER[:-1],
    "no_line_end_at_last": ANSWER[:-2],
    "no_end_mark": ANSWER.removesuffix(DONE),
    "no_end_mark_and_no_blank_line": ANSWER.removesuffix(b"\n\n" + DONE),
}


@pytest.mark.parametrize("stream", FORMS.values(), ids=FORMS)
class TestForms:
    def test_a_stream_may_have_any_form_of_the_standard(self, stream: bytes) -> None:
        assert read_stream(stream)[1] == ChatResult("Привет 🚀", FIGURES)

    @pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100])
    def test_and_be_cut_anywhere(self, stream: bytes, size: int) -> None:
        chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
        texts, result = read_stream(*chunks)
        assert "".join(texts) == result.text == "Привет 🚀"
        assert result.usage == FIGURES


class TestSurrogates:
    @pytest.mark.parametrize(
        ("escaped", "text"),
        [
            (r"\ud83d\ude00", "😀"),
            (r"\uD83D\uDE00", "😀"),
            (r"a\ud83d", "a�"),
            (r"\ud83d", "�"),
            (r"\ude00\ud83d", "��"),
            (r"\ud83d\ud83d\ude00", "�😀"),
            (r"\ud83dA", "�A"),
            (r"\ud83d\n", "�\n"),
            (r"\\ud83d", r"\ud83d"),
            (r"\\\ud83d", "\\�"),
            (r"\u0000\ud83d", "\0�"),
        ],
    )
    def test_half_an_emoji_becomes_a_replacement_character(self, escaped: str, text: str) -> None:
        event = b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % escaped.encode()
        assert read_stream(event, FINISH, DONE)[1].text == text

    @pytest.mark.parametrize(
        ("pieces", "texts"),
        [
            ([r"\ud83d", r"\ude80"], ["", "🚀"]),
            ([r"a\ud83d", r"\ude80b"], ["a", "🚀b"]),
            ([r"\ud83d", "", r"\ude80"], ["", "", "🚀"]),
            ([r"\ud83d", "b"], ["", "�b"]),
            ([r"\ud83d", r"\ud83d", r"\ude80"], ["", "�", "🚀"]),
            ([r"\ud83d", r"\ud83d\ude80"], ["", "�🚀"]),
            ([r"\ude80", r"\ud83d"], ["�", ""]),
        ],
    )
    def test_halves_may_come_in_two_events(self, pieces: list[str], texts: list[str]) -> None:
        events = [b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % piece.encode() for piece in pieces]
        reader = StreamReader()
        assert [reader.feed(event) for event in events] == texts
        reader.feed(FINISH + DONE)
        text = reader.result().text
        assert text == "".join(texts) + ("�" if texts[-1] == "" else "")
        assert read_stream(b"".join(events), FINISH, DONE)[1].text == text

    def test_a_whole_answer_may_hold_halves(self) -> None:
        for escaped, text in ((rb"\ud83d\ude80", "🚀"), (rb"a\ud83d", "a�")):
            body = b'{"choices":[{"message":{"content":"%b"},"finish_reason":"stop"}]}' % escaped
            assert read_whole(body).text == text

    @given(text=st.text(st.characters(codec=None), max_size=40))
    def test_any_text_of_the_model_can_be_encoded_in_utf_8(self, text: str) -> None:
        text += "."
        event = b"data: %b\n\n" % json.dumps({"choices": [{"delta": {"content": text}}]}).encode()
        told = read_stream(event, FINISH, DONE)[1].text
        told.encode()
        paired = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        assert told == paired
