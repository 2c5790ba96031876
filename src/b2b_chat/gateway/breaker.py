"""A circuit breaker: tells whether a place that fails again and again is worth another call now.

Source: M. Nygard, "Release It!", the pattern of that name.
"""

import time
from collections.abc import Callable


class Breaker:
    """Closed, a place is asked; after so many failures in a row it opens.

    An open breaker leaves the place alone for a while; then one call probes it, and closes the breaker or opens it
    anew.
    """

    def __init__(self, *, failures: int, open_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_failures = failures
        self._open_seconds = open_seconds
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._is_probing = False

    @property
    def is_closed(self) -> bool:
        """Whether nothing is known against the place."""
        return self._failures < self._max_failures

    def allows(self) -> bool:
        """Whether a call may be made now; after a True for an open breaker, that call is its one probe."""
        if self.is_closed:
            return True
        if self._is_probing or self._clock() < self._open_until:
            return False
        self._is_probing = True
        return True

    def succeeded(self) -> None:
        """A call was answered."""
        self._failures = 0
        self._is_probing = False

    def failed(self) -> None:
        """A call failed by the place's fault."""
        self._failures += 1
        self._is_probing = False
        if not self.is_closed:
            self._open_until = self._clock() + self._open_seconds

    def abandoned(self) -> None:
        """A call ended without telling anything about the place."""
        self._is_probing = False
