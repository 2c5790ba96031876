"""One connection, which carries one call at a time."""

import asyncio
from collections.abc import Callable
from typing import Final, cast

import httptools

from b2b_chat.kit.http.errors import HttpError, NoAnswer, NotHttp
from b2b_chat.kit.http.response import Response, State

_MAX_HEADER_BYTES: Final = 65_536
_MAX_WAITING_BYTES: Final = 262_144
"""Read ahead of the response's reader; beyond that the peer has to wait."""
_LEAST_STATUS: Final = 100
_LEAST_FINAL_STATUS: Final = 200

OnDone = Callable[["Connection"], None]


class Connection:
    """A connection that can be used again and again, as long as it is open."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        """The response's buffer: what has arrived of the body and was not read."""
        self._wire = _Wire(self)
        self._response: Response | None = None
        self._on_done: OnDone | None = None
        self._waiting_bytes = 0
        self._header_bytes = 0
        self._is_paused = False
        self._stays_open = True
        self.idle_since = 0.0

    @property
    def protocol(self) -> asyncio.Protocol:
        """The protocol that the event loop drives."""
        return self._wire

    @property
    def is_usable(self) -> bool:
        """Whether another call can be made on it."""
        return self._wire.is_open and self._response is None

    async def ask(self, request: bytes, on_done: OnDone) -> Response:
        """Send a request and return when the head of its response has arrived.

        Args:
            request: Head and body, as they go over the wire.
            on_done: Called once, when the response is not needed any more.

        Raises:
            NoAnswer: The connection ended before the response.
            NotHttp: The peer sent something that is not an HTTP response.
        """
        response = self._response = Response(self.pieces, self, self._release)
        self._on_done = on_done
        self._header_bytes = self._waiting_bytes = 0
        try:
            self._wire.write(request)
            await response.begun()
        except BaseException:
            response.close()
            raise
        return response

    def pause(self) -> None:
        """Leave incoming bytes in the kernel."""
        if not self._is_paused:
            self._is_paused = True
            self._wire.pause()

    def resume(self) -> None:
        """Take bytes in again."""
        self._waiting_bytes = 0
        if self._is_paused:
            self._is_paused = False
            self._wire.resume()

    def close(self) -> None:
        """Hang up. A response that has not all arrived is broken by that."""
        if self._response is not None:
            self._response.cut(by_error=True)
        self._wire.close()

    def _release(self, response: Response) -> None:
        """Take a closed response off the connection, which ends the connection unless the response was complete.

        So it does if the response came before its request was sent whole: the peer may take the rest for another.
        """
        self._response = None
        self.pieces.clear()
        if response.is_complete and self._stays_open and self._wire.is_all_sent:
            self.resume()
        else:
            self.close()
        if self._on_done is not None:
            self._on_done(self)

    # The parser's events. An error that is raised here ends the parsing: see _Wire.data_received.

    def received(self, size_bytes: int) -> None:
        """Count bytes that have arrived and were parsed."""
        self._waiting_bytes += size_bytes
        if self._response is None:  # bytes without a request
            self.close()
        else:
            if self._waiting_bytes > _MAX_WAITING_BYTES:
                if self.pieces:
                    self.pause()
                else:  # a head, or what stands between a body's parts, that does not end
                    self.failed(NotHttp())
            self._response.wake()

    def began(self) -> None:
        """A response begins.

        Raises:
            NotHttp: No request is waiting for it.
        """
        if self._response is None or self._response.is_complete:
            raise NotHttp

    def has_header(self, name: bytes, value: bytes) -> None:
        """A header has arrived.

        Raises:
            NotHttp: There are too many.
        """
        response = self._response
        self._header_bytes += len(name) + len(value)
        if response is None or self._header_bytes > _MAX_HEADER_BYTES:
            raise NotHttp
        if response.state is State.AWAITED:  # trailers are not part of the head: RFC 9110, section 6.5.1
            response.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def has_head(self, status: int) -> None:
        """All headers have arrived.

        Raises:
            NotHttp: There is no such status.
        """
        if self._response is None or status < _LEAST_STATUS:
            raise NotHttp
        if status >= _LEAST_FINAL_STATUS:
            self._response.begin(status)

    def ended(self, *, stays_open: bool) -> None:
        """The whole message has arrived."""
        self._stays_open = stays_open
        cast("Response", self._response).end()  # or it would not have begun

    def failed(self, error: HttpError) -> None:
        """The peer sent something that is not an HTTP response."""
        if self._response is not None:
            self._response.fail(error)
        self.close()

    def lost(self, *, by_error: bool) -> None:
        """The connection has ended."""
        if self._response is not None:
            self._response.cut(by_error=by_error)


class _Wire(asyncio.Protocol):
    """The transport's and the parser's side of a connection, in their words."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._transport: asyncio.Transport | None = None
        self.on_header = connection.has_header
        self.on_body = connection.pieces.append  # as direct as can be: it is called for each delta
        self.on_message_begin = connection.began
        self._parser = httptools.HttpResponseParser(self)

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_all_sent(self) -> bool:
        return self._transport is not None and not self._transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            raise NoAnswer
        self._transport.write(data)

    def pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is no subclass

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._connection.failed(NotHttp())
        self._connection.received(len(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._connection.lost(by_error=exc is not None)

    def on_headers_complete(self) -> None:
        self._connection.has_head(self._parser.get_status_code())

    def on_message_complete(self) -> None:
        # Whether the connection stays open is known now, and not later.
        self._connection.ended(stays_open=self._parser.should_keep_alive())
