"""The other end of one request: reads, sends, notices a disconnect, and breaks the connection on request."""

import asyncio
import contextlib
import math
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any, Final, Literal

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_WRITES_A_TURN: Final = 16
"""After so many, everything else in the process gets its turn."""
_FLUSH_SECONDS: Final = 0.02
"""Long enough for the server to write its bytes to the socket."""
_NOTICE_SECONDS: Final = 1.0
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_HALF_A_CHUNK: Final = b'3E8\r\ndata: {"id":"chatcmpl-half'
"""An HTTP chunk that promises 1000 bytes and holds fewer."""


class CallerGone(Exception):
    """The caller has closed its connection."""


class Caller:
    """Wraps ASGI's callables for one request."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._leaving: asyncio.Task[None] | None = None
        self._writes = 0

    async def body(self) -> bytes:
        """The whole body of the request.

        Raises:
            CallerGone: It disconnected before the end.
        """
        parts = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerGone
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                return b"".join(parts)

    async def start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Send the status and the headers."""
        await self._send({"type": "http.response.start", "status": status, "headers": list(headers)})

    async def write(self, data: bytes, *, last: bool) -> None:
        """Send a part of the body as soon as the caller accepts it.

        Raises:
            CallerGone: It has left.
        """
        self._writes += 1
        if self._writes % _WRITES_A_TURN == 0:
            # Granian accepts writes to a gone caller at once, and we would never notice it.
            await asyncio.sleep(0)
        if self._leaving is not None and self._leaving.done():
            raise CallerGone
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    def watch(self) -> asyncio.Task[None]:
        """Start to watch for its disconnect; the task ends with it."""
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._left())
        return self._leaving

    def unwatch(self) -> None:
        """Stop the watch."""
        if self._leaving is not None:
            self._leaving.cancel()

    async def wait(self, seconds: float) -> None:
        """Wait, for ever if `seconds` is infinite.

        Raises:
            CallerGone: It disconnected meanwhile.
        """
        leaving = self.watch()
        await asyncio.wait((leaving,), timeout=None if math.isinf(seconds) else seconds)
        if leaving.done():
            raise CallerGone

    async def drop(self, how: Literal["close", "cut", "reset", "half_chunk"]) -> None:
        """Break the connection.

        Raises:
            CallerGone: It disconnected before.
        """
        await self.wait(_FLUSH_SECONDS)
        if how == "cut":
            return  # the server closes when the app returns without having ended the body
        with self._socket() as connection, contextlib.suppress(OSError):
            if how == "reset":
                # The server, told that nothing more comes in, closes; and this makes closing a reset.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                connection.shutdown(socket.SHUT_RD)
            else:
                connection.sendall(_HALF_A_CHUNK if how == "half_chunk" else b"")
                connection.shutdown(socket.SHUT_RDWR)
        # Not to return before the server noticed: it would still try to send an error of its own.
        with contextlib.suppress(CallerGone):
            await self.wait(_NOTICE_SECONDS)

    def _socket(self) -> socket.socket:
        """The socket of this process that is connected to the caller; ASGI does not hand it over.

        Raises:
            CallerGone: It is closed.
        """
        host, port = self._scope["client"]
        for entry in Path("/dev/fd").iterdir():
            # Descriptors come and go while we look: the server has threads.
            with contextlib.suppress(OSError):
                number = int(entry.name)
                if stat.S_ISSOCK(os.fstat(number).st_mode):
                    candidate = socket.socket(fileno=os.dup(number))
                    with contextlib.suppress(OSError):
                        # Granian gives the port as a string.
                        if candidate.getpeername()[:2] == (host, int(port)):
                            return candidate
                    candidate.close()
        raise CallerGone

    async def _left(self) -> None:
        """Return when it has left: after the body nothing else can come."""
        await self._receive()
