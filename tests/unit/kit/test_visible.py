"""What counts as text that can be seen."""

# ruff: noqa: RUF001 - Russian looks like that

import pytest

from b2b_chat.kit.visible import from_first_visible, is_blank, require_visible

BLANK = ["", " ", "\t\r\n", "\u00a0\u3000", "\u200b", "\u200b\u200c\u2060\ufeff", "\u00ad", "\u202e", "\u2066\u2069"]
BLANK += ["\u2800", "\u3164", "\uffa0", "\u115f\u1160", "\u034f", "\ufe0f", "\u180e", "\u17b4", "\u2028\u2029", "\x1c"]
BLANK += ["\U000e0001\U000e007f", "\U000e0100", "\U0001d159", "\u061c", "\u2064"]
VISIBLE = [".", "a", "я", "0", "\u0301", "👍", "👨\u200d👩\u200d👧", "\u200bx\u200b", "❤\ufe0f", "日", "\u202eabc", "_"]


@pytest.mark.parametrize("text", BLANK, ids=ascii)
def test_blank_texts(text: str) -> None:
    assert is_blank(text)
    assert from_first_visible(text) == ""
    with pytest.raises(ValueError, match="`name` needs"):
        require_visible("name", text)


@pytest.mark.parametrize("text", VISIBLE, ids=ascii)
def test_visible_texts(text: str) -> None:
    assert not is_blank(text)
    require_visible("name", text)


def test_a_text_from_its_first_visible_character() -> None:
    assert from_first_visible("\u200b \u2800Да\u200b нет") == "Да\u200b нет"
