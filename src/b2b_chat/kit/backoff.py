"""Waits between tries of something that fails for a while: ever longer, and not the same for all."""

import random
from collections.abc import Iterator


def backed_off(first_seconds: float, *, cap_seconds: float) -> Iterator[float]:
    """Yield waits without end: each about twice the one before, up to a cap, less up to a half by chance."""
    longest_seconds = first_seconds
    while True:
        yield longest_seconds * random.uniform(0.5, 1)  # noqa: S311 - jitter
        longest_seconds = min(2 * longest_seconds, cap_seconds)
