"""Whether to try again, and when."""

from random import Random
from typing import Final

from b2b_chat_client.errors import APIError, B2BChatError, ConnectionFailed, RateLimited

MAX_RETRIES: Final = 5
"""Attempts after the first one, unless the client is told otherwise."""
MAX_RETRY_AFTER_SECONDS: Final = 90.0
"""Where the server asks for a longer wait, its error is raised at once."""

_FIRST_SECONDS: Final = 0.25
_LONGEST_SECONDS: Final = 8.0


class Retries:
    """The retries of one call: a number of failures, with growing waits.

    Broken connections count while nothing new comes between them, so that a long stream survives any number of them.
    What the server refuses or fails at counts from the beginning to the end: each may cost it a call of the model.

    Args:
        max_retries: How many failures of each kind are tried again.
        rng: The waits' randomness, which keeps many clients from coming back at once.
        is_safe_to_repeat: Whether the call does the same when the server gets it twice.
    """

    def __init__(self, max_retries: int, rng: Random, *, is_safe_to_repeat: bool = True) -> None:
        self._max_retries = max_retries
        self._rng = rng
        self._is_safe_to_repeat = is_safe_to_repeat
        self._cuts = 0
        self._refusals = 0

    def progressed(self) -> None:
        """Forget the broken connections: something new came."""
        self._cuts = 0

    def seconds_after(self, error: B2BChatError) -> float:
        """Return how long to wait before the next attempt.

        Raises:
            B2BChatError: The error itself, where there is no next attempt.
        """
        failures = self._counted(error)
        asked = error.retry_after_seconds if isinstance(error, APIError) else None
        if failures > self._max_retries or not self._may_repeat(error) or (asked or 0.0) > MAX_RETRY_AFTER_SECONDS:
            raise error
        if asked is not None:
            return asked * self._rng.uniform(1.0, 1.1)
        return min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0 ** (failures - 1)) * self._rng.uniform(0.5, 1.0)

    def _counted(self, error: B2BChatError) -> int:
        if isinstance(error, ConnectionFailed):
            self._cuts += 1
            return self._cuts
        self._refusals += 1
        return self._refusals

    def _may_repeat(self, error: B2BChatError) -> bool:
        if isinstance(error, ConnectionFailed):
            return self._is_safe_to_repeat or not error.was_sent
        if isinstance(error, APIError) and error.retryable:
            return self._is_safe_to_repeat or isinstance(error, RateLimited)
        return False
