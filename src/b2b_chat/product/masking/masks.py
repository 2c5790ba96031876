"""Masks: which characters of a stored text are hidden, and under which token.

A message keeps its masks beside its own text. What crosses the border is derived from the two, and the values are
slices of the text: there is no second place that holds them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta, Struct

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.spans import Span
from b2b_chat.product.masking.text import lowered
from b2b_chat.product.masking.tokens import token

_NUMBERS: Final = frozenset(
    (
        Kind.PASSPORT,
        Kind.SNILS,
        Kind.OMS,
        Kind.INN,
        Kind.OGRNIP,
        Kind.PHONE,
        Kind.CARD,
        Kind.ACCOUNT,
        Kind.ORGINN,
        Kind.OGRN,
        Kind.BIK,
    )
)
_EXACT: Final = frozenset((Kind.SECRET, Kind.WALLET, Kind.TEXT))
_SPACES: Final = re.compile(r"\s+")
_RUSSIAN_PHONE: Final = 11


class Mask(Struct, frozen=True, array_like=True):
    """Characters `start` to `end` (code points) of a text are the value `number` of `kind` in its conversation."""

    start: Annotated[int, Meta(ge=0)]
    end: Annotated[int, Meta(ge=0)]
    kind: Kind
    number: Annotated[int, Meta(ge=1)]


class StoredMasks(NamedTuple):
    """A text's masks as they are stored beside it; neither field where it has not been looked through."""

    masks: str | None
    by: str | None
    """The key of the rules that they were made by."""


NOT_MASKED: Final = StoredMasks(None, None)
_decoder: Final = msgspec.json.Decoder(list[Mask])


def as_json(masks: Sequence[Mask]) -> str:
    """Return masks as JSON."""
    return msgspec.json.encode(masks).decode()


def stored(masks: Sequence[Mask], key: str) -> StoredMasks:
    """Return masks as they are stored."""
    return StoredMasks(as_json(masks), key)


def read(stored_masks: StoredMasks, text: str) -> list[Mask]:
    """Return a text's stored masks.

    Raises:
        MasksDoNotFit: They are not this text's.
    """
    try:
        masks = _decoder.decode(stored_masks.masks or "[]")
    except msgspec.DecodeError:
        raise MasksDoNotFit from None
    check(text, masks)
    return masks


class MasksDoNotFit(ValueError):
    """Masks are out of order, overlap, or reach beyond their text: the text is not the one they were made for."""

    def __init__(self) -> None:
        super().__init__("masks do not fit their text")


def normalised(kind: Kind, value: str) -> str:
    """Return what makes two values the same: digits only for numbers, lower case and single spaces for the rest."""
    if kind in _EXACT:
        return value
    if kind in _NUMBERS:
        digits = "".join(filter(str.isdigit, value))
        return "7" + digits[1:] if kind is Kind.PHONE and len(digits) == _RUSSIAN_PHONE and digits[0] == "8" else digits
    return _SPACES.sub(" ", lowered(value)).strip()


def check(text: str, masks: Sequence[Mask]) -> None:
    """Raise MasksDoNotFit unless every mask is a part of the text, in order and without overlap."""
    position = 0
    for mask in masks:
        if not position <= mask.start < mask.end <= len(text):
            raise MasksDoNotFit
        position = mask.end


def masked_text(text: str, masks: Sequence[Mask]) -> str:
    """Return a text with a token for every mask.

    Raises:
        MasksDoNotFit: The masks are not this text's.
    """
    check(text, masks)
    pieces: list[str] = []
    position = 0
    for mask in masks:
        pieces += (text[position : mask.start], token(mask.kind, mask.number))
        position = mask.end
    return "".join(pieces) + text[position:]


class Values:
    """The values of a conversation and their numbers: one number for one value, the first way it was written.

    Built anew for each request from the conversation's stored texts and masks.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[Kind, str], int] = {}
        self._values: dict[tuple[Kind, int], str] = {}
        self._last: dict[Kind, int] = {}

    def learn(self, text: str, masks: Sequence[Mask]) -> Sequence[Mask]:
        """Take in a stored text, and return its masks with the numbers that hold here.

        Stored numbers were given in the order in which texts were written, and a text that failed and was tried anew
        takes its place among others later. Two values of one number would put one person in the place of another: the
        later of them gets a number of its own.

        Raises:
            MasksDoNotFit: The masks are not this text's.
        """
        check(text, masks)
        changed: list[Mask] | None = None
        for index, mask in enumerate(masks):
            number = self._learned(mask, text[mask.start : mask.end])
            if number != mask.number:
                changed = changed or list(masks)
                changed[index] = Mask(mask.start, mask.end, mask.kind, number)
        return changed or masks

    def _learned(self, mask: Mask, value: str) -> int:
        key = (mask.kind, normalised(mask.kind, value))
        number = self._numbers.get(key)
        if number is None and (mask.kind, mask.number) not in self._values:
            number = self._numbers[key] = mask.number
            self._values[mask.kind, number] = value
            self._last[mask.kind] = max(self._last.get(mask.kind, 0), number)
        return self._number(mask.kind, value) if number is None else number

    def mask(self, text: str, spans: Iterable[Span]) -> list[Mask]:
        """Number the spans of a new text and take them in."""
        return [
            Mask(span.start, span.end, span.kind, self._number(span.kind, text[span.start : span.end]))
            for span in spans
        ]

    def of_answer(self, text: str, masks: Iterable[Mask], literals: Iterable[Span]) -> list[Mask]:
        """Return what is stored beside a restored answer: its masks, and new ones for tokens that nobody has."""
        return sorted((*masks, *self.mask(text, literals)), key=lambda mask: mask.start)

    def _number(self, kind: Kind, value: str) -> int:
        key = (kind, normalised(kind, value))
        number = self._numbers.get(key)
        if number is None:
            number = self._last.get(kind, 0) + 1
            self._last[kind] = self._numbers[key] = number
            self._values[kind, number] = value
        return number

    def find(self, kind: Kind, number: int) -> str | None:
        """Return a value; None when the conversation has none of this number."""
        return self._values.get((kind, number))

    def people(self) -> Iterator[str]:
        """Yield the people named so far."""
        return (value for (kind, _), value in self._values.items() if kind in (Kind.PERSON, Kind.NAME))

    def __bool__(self) -> bool:
        return bool(self._values)
