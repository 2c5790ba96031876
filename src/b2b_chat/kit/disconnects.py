"""The watch for a client that leaves while it is being answered."""

import asyncio
from types import TracebackType
from typing import Any, Final, Self, cast

from litestar.types import Receive

CLIENT_LEFT_STATUS: Final = 499
"""Nobody receives it; it shows in the access log, as in nginx's, why there was no answer."""


class ClientLeft(Exception):
    """The client closed its connection before it had its answer."""


class WhileClientStays:
    """A block that runs until it ends or the client leaves; then what it awaits is cancelled.

        with WhileClientStays(receive):
            ...

    It costs one task, where running the block in a task of its own and waiting for the first of two costs four times
    as much. The request's body must have been read before.

    Raises:
        ClientLeft: The client has left, and the block has ended by that.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._working = cast("asyncio.Task[Any]", asyncio.current_task())
        self._has_left = False

    def __enter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._watching.cancel()
        if kind is asyncio.CancelledError and self._has_left and not self._working.uncancel():
            raise ClientLeft from None

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._has_left = True
        self._working.cancel()
