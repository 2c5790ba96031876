"""What a search takes for the same text."""

# ruff: noqa: RUF001 - Russian looks like that

import re

import pytest

from b2b_chat.kit.search import pattern_of


def finds(search: str, text: str) -> bool:
    return re.search(pattern_of(search), text) is not None


@pytest.mark.parametrize(
    ("search", "text"),
    [
        ("черный", "Чёрный"),
        ("чёрный", "ЧЕРНЫЙ"),
        ("ё", "е\u0308"),
        ("е\u0308", "ё"),
        ("й", "И\u0306"),
        ("и\u0306", "Й"),
        ("Café", "CAFE\u0301"),
        ("straße", "STRAßE"),
        ("οδος", "ΟΔΟΣ"),
        ("ООО Ромашка", "ооо\u00a0ромашка"),
        ("два слова", "два \n слова"),
        ("слово", "сло\u00adво"),
        ("сло\u200bво", "слово"),
        ("日本", "在日本語"),
        ("🌴", "Отпуск 🌴"),
        ("$5.00 (*)", "it is $5.00 (*) now"),
        ("[a-z]", "[A-Z]"),
        ("\\d^|{2}?+#~'\"`", "\\D^|{2}?+#~'\"`"),
    ],
    ids=ascii,
)
def test_texts_that_match(search: str, text: str) -> None:
    assert finds(search, text)


@pytest.mark.parametrize(
    ("search", "text"),
    [
        ("a.c", "abc"),
        ("100%", "100"),
        ("_", "a"),
        ("x*", "y"),
        ("й", "и"),
        ("Андрей", "Андреи"),
        ("ab", "a b"),
        ("дом", "дым"),
    ],
    ids=ascii,
)
def test_texts_that_do_not_match(search: str, text: str) -> None:
    assert not finds(search, text)


def test_a_search_for_nothing_visible_finds_everything() -> None:
    assert pattern_of("\u200b\u2060") == ""
