"""Where hits are counted: moving windows, of which a request fills several or none."""

from collections.abc import Sequence
from typing import Protocol

from limits import RateLimitItem
from msgspec import Struct


class Window(Struct, frozen=True):
    """So many hits in the time before now."""

    item: RateLimitItem
    key: str
    """Who is limited."""

    @property
    def name(self) -> str:
        """What the window is called where hits are counted."""
        return self.item.key_for(self.key)


class Fill(Struct, frozen=True):
    """How full a window was before the hit."""

    hits: int
    oldest_at: float
    """When its oldest hit was, in unix seconds; now, where it has no hit."""


class WindowsUnavailable(Exception):
    """Hits cannot be counted now."""


class Windows(Protocol):
    """Counts hits."""

    async def hit_all(self, windows: Sequence[Window], now: float) -> list[Fill]:
        """Count a hit in each window, unless one of them is full; then in none. Nothing comes between look and hit.

        Raises:
            WindowsUnavailable: They cannot be reached.
        """
        ...
