"""A text as the detectors read it: its lower case, and where the words stand that open the gates."""

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

import ahocorasick_rs

_MOST_COMMON: int = 2
"""Pieces up to this length are looked for when asked: an index of them would be as long as the text."""


def lowered(text: str) -> str:
    """Return the text in lower case, ё as е, with as many characters as before, so that positions stay true."""
    low = text.lower()
    if len(low) != len(text):
        low = "".join(char if len(char.lower()) != 1 else char.lower() for char in text)
    if low.isascii():
        return low
    # One replacement for each: four times as quick as `str.translate`.
    low = low.replace("ё", "е").replace("\u00a0", " ").replace("\u202f", " ").replace("\u2009", " ")
    return low.replace("\u2011", "-")


class Landmarks:
    """Pieces of text, in lower case, that are found in one pass (Aho-Corasick), so that most patterns need not run."""

    def __init__(self, pieces: Iterable[str]) -> None:
        self._pieces = sorted({piece for piece in pieces if len(piece) > _MOST_COMMON})
        self._automaton = ahocorasick_rs.AhoCorasick(self._pieces, matchkind=ahocorasick_rs.MatchKind.Standard)

    def find(self, low: str) -> dict[str, list[int]]:
        """Return the pieces that a text has, each with where it begins."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        for index, start, _ in self._automaton.find_matches_as_indexes(low, overlapping=True):
            found[self._pieces[index]].append(start)
        return found


class Gate:
    """Pieces of which a text must have one before a rule is tried on it. Without pieces a gate is open."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces
        self._landmarks = frozenset(piece for piece in pieces if len(piece) > _MOST_COMMON)
        self._common = tuple(piece for piece in pieces if len(piece) <= _MOST_COMMON)

    def opens(self, text: "Text") -> bool:
        """Whether a text has one of the pieces. Those longer than two characters must be landmarks of its own."""
        if not self._landmarks.isdisjoint(text.found) or not self.pieces:
            return True
        return bool(self._common) and any(piece in text.low for piece in self._common)


class Text:
    """A text, its lower case, and what the gates ask of it."""

    def __init__(self, raw: str, landmarks: Landmarks) -> None:
        self.raw = raw
        self.low = lowered(raw)
        self.found = landmarks.find(self.low)
        """The landmarks of the text, each with where it begins."""

    @cached_property
    def digits(self) -> int:
        """How many ASCII digits there are."""
        return sum(map(self.raw.count, "0123456789"))

    def has_before(self, words: tuple[str, ...], start: int, reach: int) -> bool:
        """Whether one of the words stands in the characters right before a position."""
        window = self.low[max(start - reach, 0) : start]
        for word in words:  # noqa: SIM110 - `any` costs twice as much, and this is asked for every match
            if word in window:
                return True
        return False

    def has_after(self, words: tuple[str, ...], end: int, reach: int) -> bool:
        """Whether one of the words stands in the characters right after a position."""
        window = self.low[end : end + reach]
        for word in words:  # noqa: SIM110 - as above
            if word in window:
                return True
        return False
