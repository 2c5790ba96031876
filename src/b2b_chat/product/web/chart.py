"""The geometry of a chart. A template draws it as SVG, in per cent, so that it fits any width."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

_STEPS: Final = (Decimal(1), Decimal(2), Decimal(5), Decimal(10))
_LEFT_PERCENT: Final = 12.0
"""The width of the amounts beside the columns."""
_TOP_PERCENT: Final = 6.0
_BOTTOM_PERCENT: Final = 88.0
_GAP: Final = 0.25
"""The part of a column's place that is left free."""


class Column(NamedTuple):
    """One column, in per cent of the whole."""

    x: float
    y: float
    width: float
    height: float


class Tick(NamedTuple):
    """A line across, and the amount that it stands for."""

    y: float
    amount: Decimal


class Chart(NamedTuple):
    """Columns in the order of their amounts, and the lines behind them."""

    columns: list[Column]
    ticks: list[Tick]


def columns_of(amounts: Sequence[Decimal]) -> Chart:
    """Return a chart of some amounts, none below zero."""
    top = _round_above(max(amounts, default=Decimal(0)))
    place = (100 - _LEFT_PERCENT) / max(len(amounts), 1)
    columns = [
        Column(
            x=round(_LEFT_PERCENT + place * (number + _GAP / 2), 3),
            y=_height_of(amount, top),
            width=round(place * (1 - _GAP), 3),
            height=round(_BOTTOM_PERCENT - _height_of(amount, top), 3),
        )
        for number, amount in enumerate(amounts)
    ]
    return Chart(columns, [Tick(_height_of(amount, top), amount) for amount in (Decimal(0), top / 2, top)])


def share_of(amount: Decimal, whole: Decimal) -> float:
    """Return a part's share of a whole, in per cent."""
    return round(float(amount / whole * 100), 1) if whole else 0.0


def _height_of(amount: Decimal, top: Decimal) -> float:
    return round(_BOTTOM_PERCENT - float(amount / top) * (_BOTTOM_PERCENT - _TOP_PERCENT), 3)


def _round_above(amount: Decimal) -> Decimal:
    """Return the least 1, 2 or 5 times a power of ten that is not below an amount; 1 for zero."""
    if not amount:
        return Decimal(1)
    power = Decimal(10) ** amount.adjusted()
    return next(step * power for step in _STEPS if step * power >= amount)
