"""A server-sent event stream as a response: begun soon, never silent for long, ended exactly.

Litestar's own `Stream` costs several tasks and wrappers a chunk and sends nothing while the source is silent. Here one
`EventSender` sends what it is given, from either producer: `send_events` lets a coroutine push events into it, and
`EventStream` pulls them from an async generator.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final, TypeAlias

from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send
from litestar.types.asgi_types import HTTPResponseBodyEvent

from b2b_chat.contract.sse import CONTENT_TYPE, KEEP_ALIVE
from b2b_chat.kit.disconnects import CLIENT_LEFT_STATUS, ClientLeft, WhileClientStays
from b2b_chat.kit.metrics import OPEN_STREAMS

STREAM_HEADERS: Final = (
    (b"content-type", CONTENT_TYPE),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)
"""The headers of every event stream."""

FailureEvent: TypeAlias = Callable[[Exception], bytes]
"""Makes the event that reports a failure once the stream has begun."""


class EventSender:
    """Sends the events of one stream, and a comment after each silence.

    The response begins with its opening and the first event, or with the opening and a comment when
    `begin_within_seconds` have passed without an event. Until then a failure can still become an HTTP status. Must be
    closed.
    """

    def __init__(
        self,
        send: Send,
        *,
        keep_alive_seconds: float,
        begin_within_seconds: float = 0.0,
        retry_ms: int | None = None,
        opening: bytes = b"",
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        """Prepare a stream, and start the timer of its silence.

        Args:
            send: Takes the messages of the response.
            keep_alive_seconds: How long the stream may be silent.
            begin_within_seconds: How long it may wait for its first event before it begins with a comment.
            retry_ms: The delay after which a client should reconnect; None leaves that to the client.
            opening: Events that are known already; they go along with whatever begins the stream.
            headers: Sent beside those of every stream.
        """
        self._send = send
        self._keep_alive_seconds = keep_alive_seconds
        self._opening = opening if retry_ms is None else b"retry: %d\n\n%b" % (retry_ms, opening)
        self._headers = headers
        self._loop = asyncio.get_running_loop()
        self._commenting: asyncio.Future[None] | None = None
        self._comment_at = self._loop.time() + begin_within_seconds
        self._timer = self._loop.call_at(self._comment_at, self._keep_alive)
        self.has_begun = False
        """Whether the client has a status."""

    async def send(self, events: bytes, *, more: bool = True) -> None:
        """Send prepared events.

        Args:
            events: One or several; may be empty for the end.
            more: Whether others follow; if not, the stream is complete.
        """
        if self._commenting is not None and not self._commenting.done():
            await asyncio.wait({self._commenting})
        self._comment_at = self._loop.time() + self._keep_alive_seconds
        if self.has_begun:
            await self._send(_body_part(events, more=more))
        else:
            self.has_begun = True
            self._timer.cancel()
            self._timer = self._loop.call_at(self._comment_at, self._keep_alive)
            await self._begin(events, more=more)

    def close(self) -> None:
        """Send nothing more."""
        self._timer.cancel()
        if self._commenting is not None:
            self._commenting.cancel()

    def _keep_alive(self) -> None:
        """Send a comment if one is due. An event moves that time only, which is cheaper than moving the timer."""
        now = self._loop.time()
        if now >= self._comment_at:
            self._comment_at = now + self._keep_alive_seconds
            comment = self._send(_body_part(KEEP_ALIVE)) if self.has_begun else self._begin(KEEP_ALIVE)
            self.has_begun = True
            self._commenting = asyncio.ensure_future(comment)
        self._timer = self._loop.call_at(self._comment_at, self._keep_alive)

    async def _begin(self, events: bytes, *, more: bool = True) -> None:
        headers = [*STREAM_HEADERS, *self._headers]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send(_body_part(self._opening + events, more=more))


async def send_events(
    produce: Callable[[EventSender], Awaitable[None]],
    sender: EventSender,
    receive: Receive,
    failure_event: FailureEvent | None = None,
) -> None:
    """Send what a coroutine produces. It is cancelled when the client leaves.

    Args:
        produce: Sends its events through the sender, the last one with `more=False`.
        sender: Of this response; it is closed at the end.
        receive: Reports that the client has left.
        failure_event: Reports what `produce` raises once the stream has begun. Without it, that cuts the stream.

    Raises:
        ClientLeft: The client has left before the stream had begun.
        Exception: `produce` failed before the stream had begun, so that a status can report it; or there is no
            `failure_event`.
    """
    OPEN_STREAMS.inc()
    try:
        with WhileClientStays(receive):
            try:
                await produce(sender)
            except Exception as error:
                if failure_event is None or not sender.has_begun:
                    raise
                await sender.send(failure_event(error), more=False)
    except ClientLeft:
        if not sender.has_begun:
            raise
    finally:
        OPEN_STREAMS.dec()
        sender.close()


class EventStream(Response[Any]):
    """Answers 200 with the events that an async generator yields as prepared bytes.

    The generator is closed when the client leaves. What it raises becomes a status as long as the stream has not
    begun, then the `failure_event`; without one it cuts the stream.
    """

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        keep_alive_seconds: float,
        begin_within_seconds: float = 0.0,
        retry_ms: int | None = None,
        opening: bytes = b"",
        failure_event: FailureEvent | None = None,
        on_close: Callable[[], None] = lambda: None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare the response.

        Args:
            events: The source.
            keep_alive_seconds: As `EventSender` takes it, like the three that follow.
            begin_within_seconds: 0 begins at once.
            retry_ms: Sent as the stream's `retry`.
            opening: Sent first.
            failure_event: As `send_events` takes it.
            on_close: Called once, when the stream is over.
            headers: Sent beside those of every stream.
        """
        super().__init__(content=None, status_code=200)
        options = {
            "keep_alive_seconds": keep_alive_seconds,
            "begin_within_seconds": begin_within_seconds,
            "retry_ms": retry_ms,
            "opening": opening,
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        }
        self._response = _PulledStream(events, options, failure_event, on_close)

    def to_asgi_response(self, *_args: Any, **_options: Any) -> ASGIResponse:
        """Return this response as Litestar wants it: an ASGI app that sends it."""
        return self._response


class _PulledStream(ASGIResponse):
    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        options: Mapping[str, Any],
        failure_event: FailureEvent | None,
        on_close: Callable[[], None],
    ) -> None:
        super().__init__(status_code=200)
        self._events = events
        self._options = options
        self._failure_event = failure_event
        self._on_close = on_close

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send_events(self._pull, EventSender(send, **self._options), receive, self._failure_event)
        except ClientLeft:  # nobody receives the status; the access log has it
            await send({"type": "http.response.start", "status": CLIENT_LEFT_STATUS, "headers": []})
            await send(_body_part(b"", more=False))
        finally:
            self._on_close()

    async def _pull(self, sender: EventSender) -> None:
        async with aclosing(self._events) as events:
            async for event in events:
                await sender.send(event)
        await sender.send(b"", more=False)


def _body_part(body: bytes, *, more: bool = True) -> HTTPResponseBodyEvent:
    """Return a part of a response's body as ASGI wants it."""
    return {"type": "http.response.body", "body": body, "more_body": more}
