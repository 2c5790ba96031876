"""The watch for a client that leaves while it is being answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from litestar.types import Receive


class ClientLeft(Exception):
    """The client closed its connection before it had its answer."""


@asynccontextmanager
async def while_client_stays(receive: Receive) -> AsyncIterator[None]:
    """Run the block until it ends or the client leaves; then what it awaits is cancelled.

    It costs one task, where running the block in a task of its own and waiting for the first of two costs four times
    as much. The request's body must have been read before.

    Raises:
        ClientLeft: The client has left, and the block has ended by that.
    """
    working = cast("asyncio.Task[Any]", asyncio.current_task())
    has_left = False

    async def watch() -> None:
        nonlocal has_left
        while (await receive())["type"] != "http.disconnect":
            pass
        has_left = True
        working.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if has_left and not working.uncancel():
            raise ClientLeft from None
        raise
    finally:
        watching.cancel()
