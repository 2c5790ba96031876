"""A server-sent event stream as a response.

Litestar's own `Stream` costs several tasks and wrappers a chunk and says nothing while the source is silent; this one
sends a comment at once and whenever the stream has been silent for a while, and closes its source as soon as the
client is gone.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send
from litestar.types.asgi_types import HTTPResponseBodyEvent

from b2b_chat.contract.sse import CONTENT_TYPE, KEEP_ALIVE
from b2b_chat.kit.disconnects import ClientLeft, WhileClientStays
from b2b_chat.kit.metrics import OPEN_STREAMS

STREAM_HEADERS: Final = (
    (b"content-type", CONTENT_TYPE),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)
"""Of every stream of events."""


class EventStream(Response[Any]):
    """Answers 200 with the events that an async generator yields as prepared bytes.

    The generator must turn its own failures into an event; what it raises all the same cuts the stream. It is closed
    when the client leaves.
    """

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        keep_alive_seconds: float,
        on_close: Callable[[], None] = lambda: None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Args are the events, how long the stream may be silent, what to call once when it is over, and headers."""
        super().__init__(content=None, status_code=200)
        self._sender = _Sender(events, keep_alive_seconds, on_close, headers or {})

    def to_asgi_response(self, *_args: Any, **_options: Any) -> ASGIResponse:
        """This response as Litestar wants it: an ASGI app that sends it."""
        return self._sender


class _Sender(ASGIResponse):
    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        keep_alive_seconds: float,
        on_close: Callable[[], None],
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(status_code=200)
        self._headers = [*STREAM_HEADERS, *((name.lower().encode(), value.encode()) for name, value in headers.items())]
        self._events = events
        self._keep_alive_seconds = keep_alive_seconds
        self._on_close = on_close

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        comments = _Comments(send, self._keep_alive_seconds)
        OPEN_STREAMS.inc()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            comments.begin()
            with WhileClientStays(receive):
                async with aclosing(self._events) as events:
                    async for event in events:
                        comments.put_off()
                        await send(body_part(event))
                await comments.end()
                await send(body_part(b"", more=False))
        except ClientLeft:
            comments.drop()
        finally:
            OPEN_STREAMS.dec()
            comments.cancel()
            self._on_close()


class _Comments:
    """Sends a comment at once and whenever there was no event for a while. Until then it is a timer and no task."""

    def __init__(self, send: Send, keep_alive_seconds: float) -> None:
        self._send = send
        self._keep_alive_seconds = keep_alive_seconds
        self._is_silent = True
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = None
        self._sending: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Look for silence from now on."""
        self._timer = self._loop.call_soon(self._look)

    def put_off(self) -> None:
        """Say that an event is sent now."""
        self._is_silent = False

    async def end(self) -> None:
        """Send no more, and return when none is under way."""
        self.cancel()
        if self._sending is not None:
            await asyncio.wait({self._sending})

    def cancel(self) -> None:
        """Send no more."""
        if self._timer is not None:
            self._timer.cancel()

    def drop(self) -> None:
        """Nobody is left to send one to."""
        if self._sending is not None:
            self._sending.cancel()

    def _look(self) -> None:
        if self._is_silent and (self._sending is None or self._sending.done()):
            self._sending = self._loop.create_task(self._comment())
        self._is_silent = True
        self._timer = self._loop.call_later(self._keep_alive_seconds, self._look)

    async def _comment(self) -> None:
        await self._send(body_part(KEEP_ALIVE))


def body_part(body: bytes, *, more: bool = True) -> HTTPResponseBodyEvent:
    """A part of a response's body as ASGI wants it."""
    return {"type": "http.response.body", "body": body, "more_body": more}
