"""A shape: one way in which a kind of value is written, as a row of a table.

To teach the product a new kind: add it to `kinds.Kind` and to a group, add a row here with an example, and run
`just masking-eval` on texts with and without it. The example is the canary too: a process whose detector misses one
does not start.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.spans import Span
from b2b_chat.product.masking.text import Text


def anything(_value: str) -> bool:
    """Accept every value: the shape says enough."""
    return True


class Shape(NamedTuple):
    """A row. The cheap questions come first: `gate` and `digits` keep a pattern from being run at all."""

    kind: Kind
    pattern: re.Pattern[str]
    """Group 1 is the value, or else all of it. It must take linear time on any text."""
    example: str
    """A text with one value in ⟦…⟧."""
    gate: tuple[str, ...] = ()
    """Pieces in lower case, ё as е, one of which the text must have."""
    digits: int = 0
    """How many digits the text must have."""
    check: Callable[[str], bool] = anything
    """The last word on a value: check digits, ranges."""
    near: tuple[str, ...] = ()
    """Words, lower case, of which one must stand within `reach` characters before."""
    reach: int = 40
    after: tuple[str, ...] = ()
    """Words of which one right after the value does as well as `near`."""
    unless: tuple[str, ...] = ()
    """Words that, within 24 characters before, say that this is something else."""
    not_after: tuple[str, ...] = ()
    """Words that, right after, say so."""
    folded: bool = False
    """Whether the pattern reads the text in lower case."""
    rank: int = 50


_UNLESS_REACH: Final = 24
_AFTER_REACH: Final = 14


def find(shape: Shape, text: Text) -> Iterator[Span | None]:
    """Yield the spans of a shape, and None for each match that is not one."""
    subject = text.low if shape.folded else text.raw
    group = 1 if shape.pattern.groups else 0
    for match in shape.pattern.finditer(subject):
        start, end = match.span(group)
        yield Span(start, end, shape.kind, shape.rank) if start < end and _stands(shape, text, start, end) else None


def _stands(shape: Shape, text: Text, start: int, end: int) -> bool:
    if (shape.near or shape.after) and not (
        text.has_before(shape.near, start, shape.reach) or text.has_after(shape.after, end, _AFTER_REACH)
    ):
        return False
    if shape.unless and text.has_before(shape.unless, start, _UNLESS_REACH):
        return False
    if shape.not_after and text.has_after(shape.not_after, end, _AFTER_REACH):
        return False
    return shape.check(text.raw[start:end])


def only_digits(value: str) -> str:
    """Return the digits of a value."""
    return "".join(filter(str.isdigit, value))
