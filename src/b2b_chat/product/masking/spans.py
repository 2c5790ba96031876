"""Spans of a text, and which of them stand where several claim the same characters."""

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from b2b_chat.product.masking.kinds import Kind


class Span(NamedTuple):
    """Characters `start` to `end` (code points) are a value of `kind`. The higher rank wins where two overlap."""

    start: int
    end: int
    kind: Kind
    rank: int = 0


def resolve(text: str, found: Iterable[Span]) -> list[Span]:
    """Return the spans that stand, in order and without overlap."""
    return list(standing(text, found))


def standing(text: str, found: Iterable[Span]) -> Iterator[Span]:
    """Yield the spans that stand, in order and without overlap.

    The higher rank wins, then the longer. What a losing span covers beyond the winners stays covered, under its own
    kind: a value that was found is never left readable because a part of it is also something else.
    """
    ordered = sorted(found)
    if all(a.end <= b.start for a, b in itertools.pairwise(ordered)):
        yield from ordered
        return
    for group in _overlapping(ordered):
        yield from group if len(group) == 1 else _settle(text, group)


def _overlapping(ordered: list[Span]) -> Iterable[list[Span]]:
    group: list[Span] = []
    end = -1
    for span in ordered:
        if group and span.start >= end:
            yield group
            group = []
        group.append(span)
        end = max(end, span.end) if len(group) > 1 else span.end
    if group:
        yield group


def _settle(text: str, group: list[Span]) -> list[Span]:
    """Paint the spans of one cluster, weakest first, and read off what is on top: linear in the painted characters."""
    group = _united(group)
    first = group[0].start
    owners: list[Span | None] = [None] * (max(span.end for span in group) - first)
    for span in sorted(group, key=lambda span: (span.rank, span.end - span.start)):
        owners[span.start - first : span.end - first] = [span] * (span.end - span.start)
    pieces = []
    start = 0
    for at in range(1, len(owners) + 1):
        if at == len(owners) or owners[at] is not owners[start]:
            owner = owners[start]
            if owner is not None:
                piece = Span(first + start, first + at, owner.kind, owner.rank)
                if piece[:2] == owner[:2] or any(map(str.isalnum, text[piece.start : piece.end])):
                    pieces.append(_trimmed(text, piece, owner))
            start = at
    return pieces


def _united(group: list[Span]) -> list[Span]:
    """Make one span of those of one kind that overlap."""
    united: dict[Kind, list[Span]] = {}
    for span in group:
        own = united.setdefault(span.kind, [])
        if own and span.start < own[-1].end:
            last = own.pop()
            own.append(Span(last.start, max(last.end, span.end), span.kind, max(last.rank, span.rank)))
        else:
            own.append(span)
    return sorted(span for own in united.values() for span in own)


def _trimmed(text: str, piece: Span, owner: Span) -> Span:
    """Leave out the white space that is left over where a span was cut."""
    value = text[piece.start : piece.end]
    start, end = piece.start, piece.end
    if piece.start != owner.start:
        start += len(value) - len(value.lstrip())
    if piece.end != owner.end:
        end -= len(value) - len(value.rstrip())
    return piece._replace(start=start, end=end)
