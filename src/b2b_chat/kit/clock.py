"""The clock, passed as an argument so that tests can stop it."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]
"""Returns the current time, aware and in UTC."""


def process_age_seconds() -> float:
    """Return how long this process has been running; 0 where the system does not say."""
    try:
        # The 22nd field, counted behind the name, which may hold spaces; in ticks since the machine started.
        started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        return 0.0


def utc_now() -> datetime:
    """Return the time of this machine's clock."""
    return datetime.now(UTC)
