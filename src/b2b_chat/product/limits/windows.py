"""Moving windows that count hits; a request counts in all of its windows or in none."""

from collections.abc import Sequence
from typing import Protocol

from limits import RateLimitItem
from msgspec import Struct


class Window(Struct, frozen=True):
    """A limit of hits within the time before now."""

    item: RateLimitItem
    key: str
    """Who is limited."""

    @property
    def name(self) -> str:
        """The window's name in the store."""
        return self.item.key_for(self.key)


class Fill(Struct, frozen=True):
    """How full a window was before the hit."""

    hits: int
    oldest_at: float
    """The time of its oldest hit, in unix seconds; now, if it has none."""


class WindowsUnavailable(Exception):
    """The store of hits is unavailable."""


class Windows(Protocol):
    """Counts hits."""

    async def hit_all(self, windows: Sequence[Window], now: float) -> list[Fill]:
        """Count a hit in each window, unless one of them is full; then in none. The check and the count are atomic.

        Raises:
            WindowsUnavailable: The store cannot be reached.
        """
        ...

    async def take_back(self, windows: Sequence[Window], hit_at: float) -> None:
        """Uncount a hit that was counted in each window at that time. One that has left its window is no error.

        Raises:
            WindowsUnavailable: The store cannot be reached.
        """
        ...
