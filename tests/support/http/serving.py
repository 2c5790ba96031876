"""Serve an ASGI app on a real socket in the test's event loop, by Granian's embedded server."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def until_listening(port: int, *, timeout_seconds: float = 10) -> None:
    """Return once something accepts connections on 127.0.0.1:`port`."""
    async with asyncio.timeout(timeout_seconds):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                await writer.wait_closed()
                return


@asynccontextmanager
async def serve(app: Any) -> AsyncIterator[str]:
    """Serve `app`, lifespan included, and yield its base URL."""
    port = free_port()
    server: Any = Server(
        app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, http=HTTPModes.http1, log_enabled=False
    )
    task = asyncio.create_task(server.serve())
    try:
        waiting = asyncio.create_task(until_listening(port))
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            waiting.cancel()
            task.result()
            raise RuntimeError("the server ended while starting")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
        await task
