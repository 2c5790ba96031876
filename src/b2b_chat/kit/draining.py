"""Graceful shutdown of a worker: work is drained on SIGTERM, before or after the server stops listening.

Granian by itself closes the listener, waits without limit for open streams, and only then notifies the app. So the
app handles SIGTERM first, drains within its own deadline, which also ends its streams, and leaves the rest to Granian
by the signal that Granian still listens to. Granian gets it at once where a successor serves the port: new connections
then lead there alone, and kept ones are closed after their answer.
"""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from b2b_chat.kit.metrics import DRAINING


@asynccontextmanager
async def drained_on_sigterm(
    drain: Callable[[], Awaitable[None]], *, listens_meanwhile: bool = True
) -> AsyncIterator[None]:
    """Within the block, let SIGTERM drain before it ends the worker; on leaving the block, drain if it was not done.

    Args:
        drain: It must not fail, must have a deadline, and is called once.
        listens_meanwhile: Whether new connections are taken during the drain.
    """
    loop = asyncio.get_running_loop()
    draining: asyncio.Task[None] | None = None

    async def drain_and_end() -> None:
        if listens_meanwhile:
            await drain()
            _end_server()
        else:
            _end_server()
            await drain()

    def on_sigterm() -> None:
        nonlocal draining
        if draining is None:
            DRAINING.set(1)
            draining = asyncio.create_task(drain_and_end())

    # Only a process's main thread may handle signals; a server embedded elsewhere is ended by its host.
    in_worker = threading.current_thread() is threading.main_thread()
    if in_worker:
        loop.add_signal_handler(signal.SIGTERM, on_sigterm)
    try:
        yield
    finally:
        if in_worker:
            loop.remove_signal_handler(signal.SIGTERM)
        await (drain() if draining is None else draining)


def _end_server() -> None:
    """Let Granian close the listener, and end the worker once its connections are done."""
    os.kill(os.getpid(), signal.SIGINT)
