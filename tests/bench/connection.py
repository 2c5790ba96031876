"""A lean HTTP/1.1 client connection: bytes of a request out, pieces of the answer's body to a callback."""

import asyncio
from collections.abc import Callable
from typing import Self, cast
from urllib.parse import urlsplit

import httptools

_LEAST_ERROR = 400
_SHOWN_BYTES = 300


class Refused(Exception):
    """The answer's status was not a good one."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"HTTP {status}: {body[:_SHOWN_BYTES].decode(errors='replace')}")
        self.status = status


class Connection(asyncio.Protocol):
    """One kept connection, for one exchange at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._done: asyncio.Future[None] | None = None
        self._on_body: Callable[[bytes], None] = lambda _body: None
        self._pieces: list[bytes] = []
        self.is_open = False

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect to the host of a URL.

        Raises:
            OSError: Nothing takes the connection.
        """
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, parts.hostname or "127.0.0.1", parts.port or 80)
        return connection

    async def exchange(self, request: bytes, on_body: Callable[[bytes], None]) -> None:
        """Send a request and return when its answer has come in whole.

        Raises:
            ConnectionError: The connection ended before.
            Refused: The status is not a good one.
        """
        self._done = asyncio.get_running_loop().create_future()
        self._on_body = on_body
        self._transport.write(request)
        await self._done

    def close(self) -> None:
        """Hang up."""
        if self.is_open:
            self.is_open = False
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is no subclass
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._done is not None and not self._done.done():
            self._done.set_exception(ConnectionResetError(f"the connection ended in mid-answer: {exc}"))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)
        # What was read at once is passed on at once, whatever chunks it came in.
        pieces, self._pieces = self._pieces, []
        if pieces and self._parser.get_status_code() < _LEAST_ERROR:
            self._on_body(b"".join(pieces))

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        if self._done is None or self._done.done():
            return
        if (status := self._parser.get_status_code()) < _LEAST_ERROR:
            self._done.set_result(None)
        else:
            self._done.set_exception(Refused(status, b"".join(self._pieces)))
        if not self._parser.should_keep_alive():
            self._transport.close()
            self.is_open = False
