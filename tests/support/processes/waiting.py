"""Wait until something that happens outside the test has happened."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], Awaitable[object]], *, timeout_seconds: float = 10) -> None:
    """Return once the condition holds; fail where it never does."""
    async with asyncio.timeout(timeout_seconds):
        while not await condition():  # noqa: ASYNC110 - other processes cause it
            await asyncio.sleep(0.01)
