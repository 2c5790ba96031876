"""Days of lists and reports. A day is one of UTC, wherever the caller is."""

from datetime import UTC, date, datetime, time, timedelta

import msgspec
from litestar.params import QueryParameter

from b2b_chat.kit.errors import InvalidRequest

_MIDNIGHT = time(tzinfo=UTC)


def day_parameter(description: str) -> QueryParameter:
    """A day in a query; `read_day` reads it."""
    return QueryParameter(description=description, schema_extra={"format": "date"})


def read_day(name: str, text: str | None) -> date | None:
    """Return the day that a query names, as `2026-01-31`.

    Raises:
        InvalidRequest: The text is not a day.
    """
    try:
        return None if text is None else msgspec.convert(text, date)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{InvalidRequest.message} {name}: {error}.", param=name) from None


def start_of(day: date) -> datetime:
    """Return the moment at which a day begins."""
    return datetime.combine(day, _MIDNIGHT)


def end_of(day: date) -> datetime:
    """Return the moment at which the next day begins; of the last possible day, its last moment."""
    return datetime.max.replace(tzinfo=UTC) if day == date.max else start_of(day + timedelta(days=1))


def days_before(day: date, days: int) -> date:
    """Return the day so many days before another, or the first possible day."""
    return date.min if (day - date.min).days < days else day - timedelta(days=days)
