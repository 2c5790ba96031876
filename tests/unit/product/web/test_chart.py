"""Where the parts of a chart lie."""

from decimal import Decimal

import pytest

from b2b_chat.product.web.chart import columns_of, share_of


@pytest.mark.parametrize(
    ("amounts", "top"),
    [
        ([], "1"),
        (["0"], "1"),
        (["1"], "1"),
        (["0.0738"], "0.1"),
        (["3", "12"], "20"),
        (["20.000001"], "50"),
        (["99"], "100"),
    ],
)
def test_the_highest_line_is_a_round_amount_not_below_any(amounts: list[str], top: str) -> None:
    chart = columns_of([Decimal(amount) for amount in amounts])
    assert [tick.amount for tick in chart.ticks] == [0, Decimal(top) / 2, Decimal(top)]


def test_columns_are_as_high_as_their_amounts_and_stand_side_by_side() -> None:
    chart = columns_of([Decimal(0), Decimal(5), Decimal(10)])
    none, half, whole = chart.columns
    assert none.height == 0
    assert whole.height == pytest.approx(2 * half.height)
    assert [column.y + column.height for column in chart.columns] == pytest.approx([chart.ticks[0].y] * 3)
    assert (half.y, whole.y) == pytest.approx((chart.ticks[1].y, chart.ticks[2].y))
    for left, right in ((none, half), (half, whole)):
        assert left.x + left.width < right.x
    assert none.x > 0
    assert whole.x + whole.width < 100


def test_a_share_of_zero_is_zero() -> None:
    assert share_of(Decimal(1), Decimal(3)) == 33.3
    assert share_of(Decimal(0), Decimal(0)) == 0
