import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2b_chat.contract.schemas import ChatRequest, ChatResult, Usage
from b2b_chat.gateway.errors import UpstreamFailure
from b2b_chat.gateway.openai_wire import MAX_EVENT_BYTES, StreamReader, encode_request, read_whole
from support.gateway.chat_bodies import chat_request
from support.openai.raw import DONE, FINISH, USAGE, data, delta

FIGURES = Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)


def whole(**changes: Any) -> bytes:
    """The body of a call that was not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": "Hello", "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {**msgspec.to_builtins(FIGURES), "prompt_tokens_details": {"cached_tokens": 0}}
    return json.dumps({"id": "x", "choices": [choice], "usage": usage, "service_tier": "default", **changes}).encode()


def choice(content: Any = "Hello", finish_reason: str | None = "stop", **message: Any) -> list[dict[str, Any]]:
    return [{"index": 0, "message": {"content": content, **message}, "finish_reason": finish_reason}]


def read_stream(*chunks: bytes) -> tuple[list[str], ChatResult]:
    reader = StreamReader()
    texts = [text for chunk in chunks if (text := reader.feed(chunk))]
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

    def test_missing_usage_is_none_and_zero_is_zero(self) -> None:
        assert read_whole(whole(usage=None)).usage is None
        zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        assert read_whole(whole(usage=zero)).usage == Usage(0, 0, 0)

    def test_a_refusal_in_words_is_an_answer(self) -> None:
        assert read_whole(whole(choices=choice(None, refusal="I would rather not."))).text == "I would rather not."

    def test_no_words_are_an_answer(self) -> None:
        assert read_whole(whole(choices=choice(None))).text == ""

    def test_an_answer_that_reached_its_limit_is_an_answer(self) -> None:
        assert read_whole(whole(choices=choice(finish_reason="length"))).text == "Hello"

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (whole(choices=choice(finish_reason="content_filter")), "content_filtered"),
            (whole(choices=choice(finish_reason=None)), "upstream_truncated"),
            (whole(choices=[]), "upstream_malformed"),
            (whole(choices=None), "upstream_malformed"),
            (whole(usage={"prompt_tokens": -1, "completion_tokens": 0, "total_tokens": 0}), "upstream_malformed"),
            (whole(usage={"prompt_tokens": 1}), "upstream_malformed"),
            (b"{}", "upstream_malformed"),
            (b"", "upstream_malformed"),
            (b"[]", "upstream_malformed"),
            (whole()[:-5], "upstream_malformed"),
            (b'{"choices":[{"message":{"content":"\xff"},"finish_reason":"stop"}]}', "upstream_malformed"),
            (b'{"error":{"message":"x","type":"server_error","code":null}}', "upstream_failed"),
            (b'{"error":{"message":"x","type":"x","code":"rate_limit_exceeded"}}', "upstream_rate_limited"),
            (b'{"error":{"message":"x","code":503}}', "upstream_failed"),
            (b'{"error":"x"}', "upstream_malformed"),
        ],
    )
    def test_an_invalid_answer_is_a_failure(self, body: bytes, code: str) -> None:
        with pytest.raises(UpstreamFailure) as error:
            read_whole(body)
        assert code_of(error) == code


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

    def test_an_empty_answer_is_an_answer(self) -> None:
        assert read_stream(FINISH, USAGE, DONE) == ([], ChatResult("", FIGURES))

    def test_usage_may_be_missing_late_early_or_repeated(self) -> None:
        twice = data({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}})
        assert read_stream(FINISH, DONE)[1].usage is None
        assert read_stream(FINISH, DONE + USAGE)[1].usage == FIGURES
        assert read_stream(USAGE, delta("a"), FINISH, DONE)[1].usage == FIGURES
        assert read_stream(FINISH, twice, USAGE, DONE)[1].usage == FIGURES

    def test_zero_usage_is_not_missing_usage(self) -> None:
        zero = data({"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}})
        assert read_stream(FINISH, zero, DONE)[1].usage == Usage(0, 0, 0)

    def test_a_refusal_in_words_is_an_answer(self) -> None:
        refusal = data({"choices": [{"delta": {"refusal": "I would rather not."}}]})
        assert read_stream(refusal, FINISH, DONE)[1].text == "I would rather not."

    def test_azure_begins_with_an_event_of_its_own(self) -> None:
        azure = data({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]})
        assert read_stream(azure, delta("a"), FINISH, DONE)[1].text == "a"

    @pytest.mark.parametrize("chunks", [[], [delta("a")], [delta("a"), FINISH], [delta("a"), FINISH, USAGE]])
    def test_without_its_end_mark_it_is_truncated(self, chunks: list[bytes]) -> None:
        with pytest.raises(UpstreamFailure) as error:
            read_stream(*chunks)
        assert code_of(error) == "upstream_truncated"

    def test_without_a_reason_to_end_it_is_truncated(self) -> None:
        with pytest.raises(UpstreamFailure) as error:
            read_stream(delta("a"), USAGE, DONE)
        assert code_of(error) == "upstream_truncated"

    def test_the_content_filter_ends_it(self) -> None:
        stopped = data({"choices": [{"delta": {}, "finish_reason": "content_filter"}]})
        with pytest.raises(UpstreamFailure) as error:
            read_stream(delta("a"), stopped, DONE)
        assert code_of(error) == "content_filtered"

    @pytest.mark.parametrize(
        "event",
        [
            b'data: {"choices":\n\n',
            b"data: 42\n\n",
            b"data: [1]\n\n",
            b"data: {}\n\n",
            b"data\n\n",
            b'data: {"choices":{"delta":"x"}}\n\n',
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
        ("error", "code"),
        [
            ({"message": "secret", "type": "server_error", "code": None}, "upstream_failed"),
            ({"message": "secret", "type": "insufficient_quota", "code": None}, "upstream_quota_exhausted"),
            ({"message": "secret", "type": "x", "code": "context_length_exceeded"}, "context_length_exceeded"),
            ({}, "upstream_failed"),
        ],
    )
    def test_an_error_inside_is_named(self, error: dict[str, Any], code: str) -> None:
        with pytest.raises(UpstreamFailure) as caught:
            read_stream(delta("a"), data({"error": error}))
        assert code_of(caught) == code
        assert "secret" not in str(caught.value)


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

    @given(text=st.text(st.characters(codec=None), max_size=40))
    def test_any_text_of_the_model_can_be_encoded_in_utf_8(self, text: str) -> None:
        event = b"data: %b\n\n" % json.dumps({"choices": [{"delta": {"content": text}}]}).encode()
        told = read_stream(event, FINISH, DONE)[1].text
        told.encode()
        paired = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        assert told == paired
