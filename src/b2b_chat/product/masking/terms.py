"""A company's own words: those that are always masked, and those that never are."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import ahocorasick_rs

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.spans import Span
from b2b_chat.product.masking.text import Text, lowered

RANK: Final = 80
_SPACES: Final = re.compile(r"\s+")
_DOUBLE_SPACE: Final = re.compile(r"\s{2}|[\n\t\r]")


def normalised(term: str) -> str:
    """Return a term as it is compared: lower case, ё as е, single spaces."""
    return _SPACES.sub(" ", lowered(term)).strip()


class Terms:
    """A list of terms that is found in one pass over a text, however long it is (Aho-Corasick)."""

    def __init__(self, terms: Iterable[str]) -> None:
        patterns = sorted({term for raw in terms if (term := normalised(raw))})
        self._automaton = (
            ahocorasick_rs.AhoCorasick(patterns, matchkind=ahocorasick_rs.MatchKind.Standard) if patterns else None
        )

    def find(self, text: Text) -> Iterator[Span]:
        """Yield the terms of a text, as whole words only."""
        if self._automaton is None:
            return
        low, positions = text.low, None
        if _DOUBLE_SPACE.search(low):
            low, positions = _single_spaced(low)
        # Overlapping: a longer term that ends inside a word must not hide a shorter one that is whole.
        for _, start, end in self._automaton.find_matches_as_indexes(low, overlapping=True):
            if _whole(low, start, end):
                first, last = (start, end) if positions is None else (positions[start], positions[end - 1] + 1)
                yield Span(first, last, Kind.TERM, RANK)


def _whole(low: str, start: int, end: int) -> bool:
    before = start and low[start].isalnum() and low[start - 1].isalnum()
    after = end < len(low) and low[end - 1].isalnum() and low[end].isalnum()
    return not (before or after)


def _single_spaced(low: str) -> tuple[str, list[int]]:
    """Return a text whose runs of white space are one space each, and where its characters came from."""
    kept: list[str] = []
    positions: list[int] = []
    for match in re.finditer(r"\s+|\S+", low):
        piece = match.group()
        if piece.isspace():
            kept.append(" ")
            positions.append(match.start())
        else:
            kept.append(piece)
            positions.extend(range(match.start(), match.end()))
    return "".join(kept), positions


def distinct(terms: Iterable[str]) -> list[str]:
    """Return terms as they were written, each once however it was written, in order."""
    return sorted({normalised(term): term.strip() for term in terms}.values(), key=normalised)


class AllowList:
    """Values that a company lets through: only where all of a span is in the list, and never a secret."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = frozenset(value for raw in values if (value := normalised(raw)))

    def allows(self, kind: Kind, value: str) -> bool:
        """Whether a value goes out as it is."""
        return bool(self._values) and kind is not Kind.SECRET and normalised(value) in self._values
