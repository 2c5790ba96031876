"""One connection over a pair of sockets; its other end sends exactly the bytes that a test dictates."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from b2b_chat.kit.http.connection import Connection
from b2b_chat.kit.http.response import Response

REQUEST: Final = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


OK: Final = b"HTTP/1.1 200 OK\r\n"


CHUNKED: Final = OK + b"Transfer-Encoding: chunked\r\n\r\n"


SHORT: Final = OK + b"Content-Length: 5\r\n\r\nshort"


EVIL: Final = OK + b"Content-Length: 4\r\n\r\nevil"


WAIT_SECONDS: Final = 10
MORE_THAN_IS_READ_AHEAD: Final = 4_000_000


async def turn() -> None:
    """Let the loop process what is ready, and wake its waiters."""
    for _ in range(5):
        await asyncio.sleep(0)


async def becomes(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110 - the transport sends no signal
            await asyncio.sleep(0)


class Line:
    """A connection and its other end."""

    def __init__(self, other: socket.socket) -> None:
        self.connection = Connection()
        self.other = other
        self.closed = 0
        """How many answers are abandoned."""

    async def sends(self, *parts: bytes) -> None:
        loop = asyncio.get_running_loop()
        for part in parts:
            # The connection may have hung up already.
            with suppress(BrokenPipeError, ConnectionResetError):
                await loop.sock_sendall(self.other, part)
            await turn()

    async def hears(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.other, 65_536)

    async def ask(self, request: bytes = REQUEST) -> Response:
        async with asyncio.timeout(WAIT_SECONDS):
            return await self.connection.ask(request, self._count)

    async def ask_and_get(self, *parts: bytes, ends: bool = False) -> Response:
        """Ask, and be sent these parts when it was asked."""
        asking = asyncio.create_task(self.ask())
        await self.hears()
        await self.sends(*parts)
        if ends:
            self.other.close()
        return await asking

    def _count(self, connection: Connection) -> None:
        assert connection is self.connection
        self.closed += 1


@asynccontextmanager
async def connected() -> AsyncIterator[Line]:
    ours, other = socket.socketpair()
    ours.setblocking(False)  # noqa: FBT003 - its only argument
    other.setblocking(False)  # noqa: FBT003 - as above
    line = Line(other)
    async with asyncio.timeout(2 * WAIT_SECONDS):  # nothing here may wait for ever
        with other:
            await asyncio.get_running_loop().create_unix_connection(lambda: line.connection.protocol, sock=ours)
            yield line
            line.connection.close()
            await turn()


async def read_all(response: Response) -> bytes:
    async with asyncio.timeout(WAIT_SECONDS):
        body = b""
        while piece := await response.read():
            body += piece
        assert response.is_read
        return body


def bytewise(raw: bytes) -> list[bytes]:
    return [raw[at : at + 1] for at in range(len(raw))]


# An answer; whether the connection ends behind it; what it says; whether another call can be made.
ANSWERS: Final = {
    "length": (SHORT, False, (200, b"short"), True),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", False, (200, b""), True),
    "error": (b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno", False, (503, b"no"), True),
    "unheard-of": (b"HTTP/1.1 799 Eh\r\nContent-Length: 0\r\n\r\n", False, (799, b""), True),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", False, (200, b"x"), True),
    "chunks": (CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", False, (200, b"abcde"), True),
    "extensions": (CHUNKED + b'3;a=b;c="d;e"\r\nabc\r\n0;last\r\n\r\n', False, (200, b"abc"), True),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\nX-Sum: 1\r\nX-Other:\r\n\r\n", False, (200, b"x"), True),
    "capitals": (
        OK + b"TRANSFER-ENCODING: Chunked\r\nCONTENT-encoding: Identity\r\n\r\n0\r\n\r\n",
        False,
        (200, b""),
        True,
    ),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", False, (204, b""), True),
    "304": (b"HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n", False, (304, b""), True),
    "continue": (b"HTTP/1.1 100 Continue\r\n\r\n" + SHORT, False, (200, b"short"), True),
    "hints": (b"HTTP/1.1 103 Hints\r\nContent-Length: 9\r\nLink: x\r\n\r\n" * 3 + SHORT, False, (200, b"short"), True),
    "close": (OK + b"Connection: close\r\nContent-Length: 1\r\n\r\nx", False, (200, b"x"), False),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", False, (200, b"x"), False),
    "old, kept": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", False, (200, b"x"), True),
    "old, chunks": (
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        False,
        (200, b"x"),
        False,
    ),
    "no length": (OK + b"\r\nto the end", True, (200, b"to the end"), False),
    "old, no length": (b"HTTP/1.0 200 OK\r\n\r\nto the end", True, (200, b"to the end"), False),
    "no length, nothing": (OK + b"\r\n", True, (200, b""), False),
    "ends with it": (SHORT, True, (200, b"short"), False),
    "empty lines before": (b"\r\n\r\n" + SHORT, False, (200, b"short"), True),
    "empty lines behind": (SHORT + b"\r\n\r\n", False, (200, b"short"), True),
}
