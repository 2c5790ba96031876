"""Rate limits in this process's memory.

The library's own memory storage walks over every key at every hit, with a hop to a thread for each; here a hit touches
its own key. With more than one process the same limits are kept by the library's `ValkeyStorage`.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from limits.aio.storage import MemoryStorage

_FIRST_SWEEP_KEYS: Final = 1024


class WindowsInMemory(MemoryStorage):
    """The times of the latest hits of each key.

    Args:
        time_source: Seconds since the epoch.
    """

    def __init__(self, time_source: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._now = time_source
        self._hits: dict[str, deque[float]] = {}
        self._over_at: dict[str, float] = {}
        """When a key's latest hit leaves its window."""
        self._sweep_at_keys = _FIRST_SWEEP_KEYS

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count a hit, unless the window is full."""
        now = self._now()
        hits = self._in_window(key, now - expiry)
        if hits is None:
            self._sweep(now)
            hits = self._hits[key] = deque()
        if len(hits) + amount > limit:
            return False
        hits.extend([now] * amount)
        self._over_at[key] = now + expiry
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - the library's signature
        """The time of the oldest hit in the window, and how many hits are in it."""
        now = self._now()
        hits = self._in_window(key, now - expiry)
        return (hits[0], len(hits)) if hits else (now, 0)

    def _in_window(self, key: str, start: float) -> deque[float] | None:
        """The hits of a key, those before `start` forgotten. A hit as old as the window still counts."""
        hits = self._hits.get(key)
        while hits and hits[0] < start:
            hits.popleft()
        return hits

    def _sweep(self, now: float) -> None:
        """Forget the keys that are over, each time that there are twice as many as after the last time."""
        if len(self._hits) < self._sweep_at_keys:
            return
        for key in [key for key, over_at in self._over_at.items() if over_at < now]:
            del self._hits[key], self._over_at[key]
        self._sweep_at_keys = max(_FIRST_SWEEP_KEYS, 2 * len(self._hits))
