"""What a text looks like, without what it says."""

import pytest

from b2b_chat.product.masking.outline import outline
from support.masking.score import load
from support.processes.project_files import ROOT

CORPUS = ROOT / "tests/data/masking/corpus.jsonl"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Паспорт 4510 123456", "Паспорт 0000 000000"),
        ("Трекова Анна, тел. +7 (916) 123-45-67", "Яяяяяяя Яяяя, тел. +0 (000) 000-00-00"),
        ("john_doe@example.com", "aaaa_aaa@aaaaaaa.aaa"),
        ("Ёлкин Ñuño", "Яяяяя Aaaa"),
        ("٣٤ ½", "00 ½"),
        ("\tа\n\nб ", "\tя\n\nя "),
        ("", ""),
    ],
)
def test_letters_and_digits_are_gone(text: str, seen: str) -> None:
    assert outline(text) == seen


def test_no_value_of_the_corpus_is_in_its_outline() -> None:
    """What is left of a value are at most words that the rules look for, such as `ул`."""
    for item in load(CORPUS):
        seen = outline(item.text)
        assert len(seen) == len(item.text)
        for start, end, _ in item.spans:
            assert not any(character in "123456789" for character in seen[start:end])
            assert seen[start:end] != item.text[start:end]
