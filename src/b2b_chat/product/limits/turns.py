"""Turns: a user runs one costly operation at a time, and all users together a few."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final
from uuid import UUID

from b2b_chat.product.limits.service import RateLimited

_MAX_WAITING: Final = 3
"""Waiting turns of one user: someone who types a search sends the next one before the last is done."""


class Turns:
    """Lets each user run one costly operation at a time in this process, and wait for a few more.

    Args:
        max_waiting: How often one person may be waiting.
    """

    def __init__(self, max_waiting: int = _MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._locks: dict[UUID, asyncio.Lock] = {}
        self._present: dict[UUID, int] = {}

    @asynccontextmanager
    async def turn(self, user_id: UUID) -> AsyncIterator[None]:
        """Take the user's turn for a block; it begins when their last one has ended.

        Raises:
            RateLimited: Some more of theirs wait already.
        """
        present = self._present.get(user_id, 0)
        if present > self._max_waiting:
            raise RateLimited
        self._present[user_id] = present + 1
        try:
            async with self._locks.setdefault(user_id, asyncio.Lock()):
                yield
        finally:
            self._leave(user_id)

    @asynccontextmanager
    async def only_turn(self, user_id: UUID) -> AsyncIterator[None]:
        """As `turn`, for operations that take too long to wait for.

        Raises:
            RateLimited: The user runs one already.
        """
        if user_id in self._present:
            raise RateLimited
        async with self.turn(user_id):
            yield

    async def holding(self, user_id: UUID, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """An export that is its user's only one until it has ended or is dropped; it may be refused here alone.

        Raises:
            RateLimited: The user has another one.
        """
        held = self._held(user_id, pieces)
        # It begins now: a generator that never began is not closed either.
        await anext(held)
        return held

    async def _held(self, user_id: UUID, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async with self.only_turn(user_id), aclosing(pieces):
            yield b""
            async for piece in pieces:
                yield piece

    def _leave(self, user_id: UUID) -> None:
        self._present[user_id] -= 1
        if not self._present[user_id]:
            del self._present[user_id], self._locks[user_id]
