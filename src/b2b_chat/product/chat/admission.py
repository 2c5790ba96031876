"""Counting calls to the model against the limits."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from b2b_chat.product.limits.service import Counted

Headers: TypeAlias = Mapping[str, str]
Admit: TypeAlias = Callable[[], Awaitable[Counted]]
"""Counts a call to the model, or refuses it with `RateLimited`."""


class Tally:
    """The count of one request: made at most once, and taken back if no call to the model comes of it."""

    def __init__(self, admit: Admit) -> None:
        self._admit = admit
        self._counted: Counted | None = None
        self._is_spent = False

    async def count(self) -> Headers:
        """Count the request, unless it is counted already; return the headers of its answer.

        Raises:
            RateLimited: There are too many.
        """
        if self._counted is None:
            self._counted = await self._admit()
        return self._counted.headers

    async def spend(self) -> Headers:
        """Count it for good, as `count` does."""
        self._is_spent = True
        return await self.count()

    async def take_back(self) -> None:
        """Uncount it, unless it was spent."""
        if self._counted is not None and not self._is_spent:
            await self._counted.take_back()
