"""A circuit breaker: decides whether an upstream that keeps failing is worth another call now.

Source: M. Nygard, "Release It!", the pattern of that name.
"""

import time
from collections.abc import Callable


class Breaker:
    """Closed, it allows every call; after so many failures in a row it opens.

    An open breaker allows no calls for a while. Then it allows one probe, which closes it or opens it again.
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
        """Whether the upstream is presumed to work."""
        return self._failures < self._max_failures

    def allows(self) -> bool:
        """Return whether a call may be made now. If an open breaker returns True, that call is its one probe."""
        if self.is_closed:
            return True
        if self._is_probing or self._clock() < self._open_until:
            return False
        self._is_probing = True
        return True

    def succeeded(self) -> None:
        """Record that a call was answered."""
        self._failures = 0
        self._is_probing = False

    def failed(self) -> None:
        """Record that the upstream failed a call."""
        self._failures += 1
        self._is_probing = False
        if not self.is_closed:
            self._open_until = self._clock() + self._open_seconds

    def abandoned(self) -> None:
        """Record that a call ended without showing whether the upstream works."""
        self._is_probing = False
