"""Work beside the requests: started with the app, repeated, and ended with it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

from b2b_chat.kit.metrics import BACKGROUND_FAILURES

log = structlog.get_logger(__name__)


async def repeat(
    work: Callable[[], Awaitable[object]],
    *,
    every_seconds: float,
    is_outage: Callable[[BaseException], bool] = lambda _: False,
) -> None:
    """Do a piece of work again and again until cancelled, with a pause after each.

    A failure is logged and does not end the repetition: an outage of the database passes, and a defect in one piece of
    work must not stop the ones after it. `is_outage` distinguishes the two, for work on the database.
    """
    while True:
        try:
            await work()
        except Exception as error:
            BACKGROUND_FAILURES.inc()
            if is_outage(error):
                log.warning("database_unavailable", exc_info=error)
            else:
                log.exception("background_work_failed")
        await asyncio.sleep(every_seconds)


@asynccontextmanager
async def running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run coroutines beside the block. When it ends, they are cancelled and awaited."""
    tasks = [asyncio.create_task(piece) for piece in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
