"""The simulator's record for tests: how many calls came, with what gaps, and how each ended."""

import time
from collections import deque
from typing import Literal

from msgspec import Struct, field

Outcome = Literal["running", "completed", "refused", "client_gone", "cut", "close", "reset", "half_chunk"]


class Observation(Struct):
    """One call. It holds no content and no credential."""

    number: int
    """Counts the calls since the start, from 1."""
    method: str
    path: str
    authorization_present: bool
    received_at: float = field(default_factory=time.time)
    """Unix seconds."""
    received_monotonic_seconds: float = field(default_factory=time.monotonic)
    model: str | None = None
    roles: list[str] = []
    """The role of each message, in order."""
    stream: bool = False
    max_completion_tokens: int | None = None
    key: str | None = None
    """The directive `key`, and below how many calls have carried it, this one included."""
    attempt: int | None = None
    status: int | None = None
    """The HTTP status sent, if any."""
    deltas_sent: int = 0
    """Of a stream."""
    outcome: Outcome = "running"
    ended_monotonic_seconds: float | None = None
    client_gone_monotonic_seconds: float | None = None
    """When the caller disconnected before its answer was complete."""

    def end(self, outcome: Outcome) -> None:
        """Record how it ended, and when."""
        self.outcome = outcome
        self.ended_monotonic_seconds = time.monotonic()
        if outcome == "client_gone":
            self.client_gone_monotonic_seconds = self.ended_monotonic_seconds


class Observations:
    """The last calls, oldest first, and the number of calls of each key."""

    def __init__(self, kept: int) -> None:
        self._kept: deque[Observation] = deque(maxlen=kept)
        self._attempts: dict[str, int] = {}
        self._count = 0

    def begin(self, method: str, path: str, *, authorization_present: bool) -> Observation:
        """Record a call."""
        self._count += 1
        observation = Observation(self._count, method, path, authorization_present)
        self._kept.append(observation)
        return observation

    def count_attempt(self, key: str) -> int:
        """Return how many calls have carried this key, this one included."""
        self._attempts[key] = self._attempts.get(key, 0) + 1
        return self._attempts[key]

    def shown(self) -> list[Observation]:
        """Return the kept calls."""
        return list(self._kept)

    def forget(self) -> None:
        """Forget all calls and keys."""
        self._kept.clear()
        self._attempts.clear()
