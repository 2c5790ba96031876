"""Streamed answers of the Chat Completions API, and documents that come instead of a stream."""

from typing import Any

import pytest

from b2b_chat.contract.schemas import ChatResult
from b2b_chat.gateway.errors import UpstreamFailure
from b2b_chat.gateway.openai_wire import MAX_EVENT_BYTES, StreamReader, read_whole
from support.openai.raw import DONE, FINISH, USAGE, data, delta
from support.openai.wire import FIGURES, choice, code_of, read_stream, whole

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
    "no_call_of_a_tool": data({"choices": [{"delta": {"tool_calls": []}}]}),
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
