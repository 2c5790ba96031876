"""Search as people mean it: case, ё and е, composed and decomposed letters and kinds of spaces make no difference.

The text to find becomes a regular expression that spells each letter in all its forms. The stored texts stay as they
are, and the database's own locale plays no part. PostgreSQL matches such a pattern by an automaton, in time linear in
the text, whatever the pattern says. The index on trigrams (migration 0009) only spares it most texts.
"""

# ruff: noqa: RUF001, RUF002 - Russian and Greek letters are meant

import re
import unicodedata
from typing import Final

_INVISIBLE: Final = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
"""Soft hyphens and characters without width, which texts copied from documents have within words."""
_SPACES: Final = "\t\n\v\f\r \u00a0\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_SPACE: Final = f"[{_SPACES}]+"
_WORD_BREAKS: Final = re.compile(f"[{_SPACES}]+")
_ALIKE: Final = {"ё": "её", "е": "её", "ς": "σς", "σ": "σς"}
"""Letters that stand for each other."""
_OPTIONAL_MARK: Final = {"ё": "\u0308", "е": "\u0308"}
_GRAM: Final = 3


def pattern_of(text: str) -> str:
    """Return the regular expression, for PostgreSQL, of all spellings that people take for this text."""
    visible = "".join(character for character in text if character not in _INVISIBLE)
    composed = unicodedata.normalize("NFC", visible)
    parts = [f"[{_INVISIBLE}]*".join(map(_forms, word)) for word in _WORD_BREAKS.split(composed)]
    return _SPACE.join(parts)


def indexed_part(text: str) -> str:
    """What of a text the index can find: pieces of words, with spaces between; nothing where it cannot help.

    The index folds ASCII and Russian letters, and leaves all others as they are. So pieces end before a letter of
    another alphabet that has a case, or other forms: the index must not miss what the pattern would find.
    """
    visible = "".join(character for character in text if character not in _INVISIBLE)
    composed = unicodedata.normalize("NFC", visible)
    pieces = "".join(character if _is_indexed(character) else " " for character in composed).split()
    return " ".join(piece for piece in pieces if len(piece) >= _GRAM)


def _is_indexed(character: str) -> bool:
    if character.isascii() or "а" <= character.lower() <= "я" or character in "ёЁ":
        return True
    has_one_form = character.lower() == character == character.upper()
    is_mark = unicodedata.combining(character) != 0
    return has_one_form and not is_mark and unicodedata.normalize("NFD", character) == character


def _forms(character: str) -> str:
    """Return one character in all its forms."""
    cases = {form for letter in _ALIKE.get(character.lower(), character) for form in _cases(letter)}
    mark = _OPTIONAL_MARK.get(character.lower())
    if mark is not None:
        return f"{_one_of(cases)}{mark}?"
    decomposed = unicodedata.normalize("NFD", character)
    if decomposed == character:
        return _one_of(cases)
    letter, marks = decomposed[0], decomposed[1:]
    return f"(?:{_one_of(cases)}|{_one_of(_cases(letter))}{marks})"


def _cases(letter: str) -> set[str]:
    # A capital may be two letters, as that of ß is: such a one is left as it is.
    return {letter, *(case for case in (letter.lower(), letter.upper()) if len(case) == 1)}


def _one_of(characters: set[str]) -> str:
    escaped = [f"\\{each}" if each.isascii() and not each.isalnum() else each for each in sorted(characters)]
    return escaped[0] if len(escaped) == 1 else f"[{''.join(escaped)}]"
