import re
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2b_chat.kit.text import LINE, PRINTABLE_ASCII, form, in_words, known_patterns, portable

QUOTED = form(r"^'[a-z]\"?\Z", "a quoted letter")


def message_of(pattern: str, value: object) -> str:
    kind = msgspec.defstruct("Thing", [("name", Annotated[str, msgspec.Meta(pattern=pattern)])])
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"name": value}, kind)
    return str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (LINE, "one line of text without control characters"),
        (PRINTABLE_ASCII, "printable ASCII without spaces"),
        (QUOTED, "a quoted letter"),
        (r"^x\Z", "a text of another form"),
        ("^'\"$", "a text of another form"),
    ],
)
def test_a_message_has_words_in_place_of_a_pattern(pattern: str, words: str) -> None:
    message = message_of(pattern, "\n")
    assert "regex" in message
    assert in_words(message) == f"Expected {words} - at `$.name`"


@given(st.text())
def test_other_messages_stay(message: str) -> None:
    assert in_words(message) == message
    assert in_words("Expected `str` of length <= 3 - at `$.name`") == "Expected `str` of length <= 3 - at `$.name`"


@pytest.mark.parametrize("text", ["", "a", "ёж", "a b", "\N{LINE SEPARATOR}", "x" * 1000])
def test_a_line(text: str) -> None:
    assert re.search(LINE, text)


@pytest.mark.parametrize("text", ["\n", "a\n", "\na", "a\r", "\0", "\x7f", "a\tb"])
def test_no_line(text: str) -> None:
    assert not re.search(LINE, text)


@pytest.mark.parametrize("text", [" ", "a b", "a\n", "é", "\0", "\x7f"])
def test_no_printable_ascii(text: str) -> None:
    assert not re.search(PRINTABLE_ASCII, text)


def test_a_portable_pattern_ends_as_other_languages_end_it() -> None:
    assert portable(LINE) == r"^[^\x00-\x1f\x7f]*$"
    assert portable("^[0-9]$") == "^[0-9]$"
    assert {LINE, PRINTABLE_ASCII, QUOTED} <= known_patterns()
