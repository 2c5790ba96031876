"""The clock, passed as an argument so that tests can stop it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]
"""Returns the current time, aware and in UTC."""


def utc_now() -> datetime:
    """Return the time of this machine's clock."""
    return datetime.now(UTC)
