"""What a text looks like, without what it says: enough to mend a rule that missed something in it."""

from collections.abc import Iterator
from functools import cache
from typing import Final

from b2b_chat.product.masking.detection import SHAPES
from b2b_chat.product.masking.labels import LABELS

_LATIN_ENDS: Final = "\u024f"


def outline(text: str) -> str:
    """Return a text with each letter replaced by one of its script and case, and each digit by a zero.

    Words that the rules themselves look for stay, such as `паспорт`, since without them nobody could tell which rule
    should have seen the value. They are whole words only: `Трекова` is a name, though `трек` is looked for.
    """
    return "".join(_words(text))


def _words(text: str) -> Iterator[str]:
    start = 0
    for end in [*(place for place, character in enumerate(text) if not character.isalpha()), len(text)]:
        word = text[start:end]
        yield word if word.lower().replace("ё", "е") in _looked_for() else "".join(map(_letter, word))
        if end < len(text):
            yield "0" if text[end].isdigit() else text[end]
        start = end + 1


def _letter(character: str) -> str:
    small, capital = ("a", "A") if character <= _LATIN_ENDS else ("я", "Я")
    return capital if character.isupper() else small


@cache
def _looked_for() -> frozenset[str]:
    """Return the words that stand near values, as the rules have them."""
    phrases = [phrase for shape in SHAPES for phrase in (*shape.near, *shape.after, *shape.unless, *shape.not_after)]
    return frozenset(word for phrase in (*phrases, *LABELS) for word in phrase.split())
