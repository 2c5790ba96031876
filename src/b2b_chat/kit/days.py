"""Days, as lists and reports are asked for. A day is one of UTC, whoever asks and wherever."""

from datetime import UTC, date, datetime, time, timedelta

import msgspec
from litestar.params import QueryParameter

from b2b_chat.kit.errors import InvalidRequest

_MIDNIGHT = time(tzinfo=UTC)


def day_parameter(description: str) -> QueryParameter:
    """A day in a query; `read_day` reads it."""
    return QueryParameter(description=description, schema_extra={"format": "date"})


def read_day(name: str, text: str | None) -> date | None:
    """The day that a query names, as `2026-01-31`.

    Raises:
        InvalidRequest: It is none.
    """
    try:
        return None if text is None else msgspec.convert(text, date)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{InvalidRequest.message} {name}: {error}.", param=name) from None


def start_of(day: date) -> datetime:
    """When a day begins."""
    return datetime.combine(day, _MIDNIGHT)


def end_of(day: date) -> datetime:
    """When the next day begins; of the last day that there is, its last moment."""
    return datetime.max.replace(tzinfo=UTC) if day == date.max else start_of(day + timedelta(days=1))


def days_before(day: date, days: int) -> date:
    """The day that is so many before another; the first one that there is, if there is none."""
    return date.min if (day - date.min).days < days else day - timedelta(days=days)
