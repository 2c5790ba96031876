"""The forms that a stream may have by the standard, and halves of surrogate pairs in its texts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2b_chat.contract.schemas import ChatResult
from b2b_chat.gateway.openai_wire import StreamReader, read_whole
from support.openai.raw import DONE, FINISH, USAGE, delta
from support.openai.wire import FIGURES, read_stream

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
