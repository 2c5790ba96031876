"""Rate limits in this process's memory."""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from b2b_chat.product.limits.windows import Fill, Window

_FIRST_SWEEP_KEYS: Final = 1024
_NONE: Final[deque[float]] = deque()


class WindowsInMemory:
    """The times of the latest hits of each window."""

    def __init__(self) -> None:
        self._hits: dict[str, deque[float]] = {}
        self._over_at: dict[str, float] = {}
        """Return when a window's latest hit leaves it."""
        self._sweep_at_keys = _FIRST_SWEEP_KEYS

    async def hit_all(self, windows: Sequence[Window], now: float) -> list[Fill]:
        """Count a hit in each window, unless one of them is full; then in none."""
        fills = [self._fill(window, now) for window in windows]
        if all(fill.hits < window.item.amount for window, fill in zip(windows, fills, strict=True)):
            for window in windows:
                self._hit(window, now)
        return fills

    async def take_back(self, windows: Sequence[Window], hit_at: float) -> None:
        """Uncount a hit that was counted in each window at that time."""
        for window in windows:
            with suppress(ValueError):  # it has left the window
                self._hits.get(window.name, _NONE).remove(hit_at)

    def _fill(self, window: Window, now: float) -> Fill:
        """Return how full a window is, after forgetting expired hits. A hit as old as the window still counts."""
        hits = self._hits.get(window.name)
        start = now - window.item.get_expiry()
        while hits and hits[0] < start:
            hits.popleft()
        return Fill(len(hits), hits[0]) if hits else Fill(0, now)

    def _hit(self, window: Window, now: float) -> None:
        name = window.name
        hits = self._hits.get(name)
        if hits is None:
            self._sweep(now)
            hits = self._hits[name] = deque()
        hits.append(now)
        self._over_at[name] = now + window.item.get_expiry()

    def _sweep(self, now: float) -> None:
        """Forget expired windows, whenever there are twice as many as after the last time."""
        if len(self._hits) < self._sweep_at_keys:
            return
        for name in [name for name, over_at in self._over_at.items() if over_at < now]:
            del self._hits[name], self._over_at[name]
        self._sweep_at_keys = max(_FIRST_SWEEP_KEYS, 2 * len(self._hits))
