"""Days of UTC, up to the ends of the calendar."""

from datetime import UTC, date, datetime

import pytest

from b2b_chat.kit.days import days_before, end_of, read_day, start_of
from b2b_chat.kit.errors import InvalidRequest


def test_a_day_is_from_midnight_to_midnight() -> None:
    assert start_of(date(2026, 2, 28)) == datetime(2026, 2, 28, tzinfo=UTC)
    assert end_of(date(2026, 2, 28)) == datetime(2026, 3, 1, tzinfo=UTC)
    assert end_of(date.max) == datetime.max.replace(tzinfo=UTC)


def test_days_before() -> None:
    assert days_before(date(2026, 3, 1), 1) == date(2026, 2, 28)
    assert days_before(date.min, 5) == date.min


@pytest.mark.parametrize("text", ["", "2026-2-3", "2026-02-30", "20260203", "2026-02-03T00:00:00Z", "today", "\0"])
def test_an_invalid_day(text: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid_request"):
        read_day("first_day", text)


def test_a_day_and_no_day() -> None:
    assert read_day("first_day", "2026-02-03") == date(2026, 2, 3)
    assert read_day("first_day", None) is None
