"""Whether a failed attempt is followed by another, and after how long."""

import math
import random
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from msgspec import Struct

from b2b_chat.contract.errors import Code
from b2b_chat.gateway.errors import UpstreamFailure

NEVER_REPEATED: Final[frozenset[Code]] = frozenset({"upstream_empty"})
"""The model's own doing, at its full price: another attempt is for the person to decide."""


class RetryPolicy(Struct, frozen=True):
    """How often and how patiently to try again.

    The wait is random between nothing and a bound that doubles with each attempt, so that calls which failed together
    do not return together. If OpenAI names a time to come back, we come no sooner, and give up if that is too late.
    """

    max_attempts: int
    base_seconds: float
    cap_seconds: float
    uniform: Callable[[float, float], float] = random.uniform

    def wait_seconds(self, attempt: int, failure: UpstreamFailure) -> float | None:
        """Return the wait after the failed attempt of this number, counted from 1; None when it is the last."""
        if not failure.failure.retryable or failure.code in NEVER_REPEATED or attempt >= self.max_attempts:
            return None
        if failure.retry_after_seconds is None:
            return self.uniform(0, min(self.cap_seconds, self.base_seconds * 2 ** (attempt - 1)))
        if failure.retry_after_seconds > self.cap_seconds:
            return None
        return failure.retry_after_seconds + self.uniform(0, self.base_seconds)


def read_retry_after(headers: Mapping[str, str], *, unix_seconds: float) -> float | None:
    """Return the seconds that an answer asks us to wait; None if it does not, or not in a readable form.

    OpenAI's own `retry-after-ms` is the more exact one; `Retry-After` holds seconds or a date.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    try:
        return max(parsedate_to_datetime(text).timestamp() - unix_seconds, 0.0)
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
