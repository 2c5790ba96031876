"""The time, handed to whoever needs it so that tests can hold it still."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]
"""Tells the current time, aware and in UTC."""


def utc_now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)
