"""An answer as a stream of server-sent events: begun soon, never silent for long, ended exactly."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from litestar.types import Receive, Send

from b2b_chat.contract.errors import FAILURES
from b2b_chat.contract.schemas import ChatDelta, ChatResult
from b2b_chat.contract.sse import KEEP_ALIVE, encode
from b2b_chat.gateway.errors import UpstreamFailure
from b2b_chat.gateway.upstream import OnText
from b2b_chat.kit.disconnects import ClientLeft, WhileClientStays
from b2b_chat.kit.event_stream import STREAM_HEADERS, body_part
from b2b_chat.kit.metrics import OPEN_STREAMS

_encoder = msgspec.json.Encoder()
log = structlog.get_logger(__name__)


async def send_stream(
    answer: Callable[[OnText], Awaitable[ChatResult]],
    receive: Receive,
    send: Send,
    *,
    start_seconds: float,
    keep_alive_seconds: float,
) -> None:
    """Answer with the texts of an answer as they come. When the client leaves, the answer is cancelled.

    Args:
        answer: Called with what takes its texts, it returns the whole of them.
        receive: Tells when the client leaves.
        send: Takes the response.
        start_seconds: When the stream begins without a text.
        keep_alive_seconds: How long it may then be silent.

    Raises:
        Exception: What failed before the stream had begun, to be answered with a status. After that it is told by an
            event.
    """
    line = _Line(send, start_seconds, keep_alive_seconds)
    OPEN_STREAMS.inc()
    try:
        with WhileClientStays(receive):
            try:
                result = await answer(line.say)
            except Exception as error:
                if not line.has_begun:
                    raise
                await line.fail(error)
            else:
                await line.end(result)
    except ClientLeft:
        if not line.has_begun:
            raise
    finally:
        OPEN_STREAMS.dec()
        line.close()


class _Line:
    """Sends events, and a comment whenever there was none for a while."""

    def __init__(self, send: Send, start_seconds: float, keep_alive_seconds: float) -> None:
        self._send = send
        self._keep_alive_seconds = keep_alive_seconds
        self._loop = asyncio.get_running_loop()
        self._covering: asyncio.Future[None] | None = None
        self._comment_at = self._loop.time() + start_seconds
        self._timer = self._loop.call_at(self._comment_at, self._look)
        self._said_chars = 0
        self.has_begun = False

    async def say(self, text: str) -> None:
        """Send a text."""
        self._said_chars += len(text)
        await self._send_event(_delta(text), more=True)

    async def end(self, result: ChatResult) -> None:
        """Send what has not been said, and with it the whole answer; the stream is complete."""
        rest = result.text[self._said_chars :]
        final = encode(b"final", _encoder.encode(result))
        await self._send_event(_delta(rest) + final if rest else final, more=False)

    async def fail(self, error: Exception) -> None:
        """Send why there is no more; the stream is complete."""
        await self._send_event(_event_of_failure(error), more=False)

    def close(self) -> None:
        """Send nothing more."""
        self._timer.cancel()
        if self._covering is not None:
            self._covering.cancel()

    def _look(self) -> None:
        """Begin the stream or send a comment, if it is time; an event only moves that time, which is cheaper."""
        now = self._loop.time()
        if now >= self._comment_at:
            self._comment_at = now + self._keep_alive_seconds
            cover = self._send(body_part(KEEP_ALIVE)) if self.has_begun else self._begin(KEEP_ALIVE)
            self.has_begun = True
            self._covering = asyncio.ensure_future(cover)
        self._timer = self._loop.call_at(self._comment_at, self._look)

    async def _send_event(self, event: bytes, *, more: bool) -> None:
        if self._covering is not None and not self._covering.done():
            await asyncio.wait({self._covering})
        self._comment_at = self._loop.time() + self._keep_alive_seconds
        if self.has_begun:
            await self._send(body_part(event, more=more))
        else:
            self.has_begun = True
            self._timer.cancel()
            self._timer = self._loop.call_at(self._comment_at, self._look)
            await self._begin(event, more=more)

    async def _begin(self, event: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
        await self._send(body_part(event, more=more))


def _delta(text: str) -> bytes:
    return encode(b"delta", _encoder.encode(ChatDelta(text)))


def _event_of_failure(error: Exception) -> bytes:
    if isinstance(error, UpstreamFailure):
        return encode(b"error", _encoder.encode(error.failure.body))
    log.error("internal_error", exc_info=error)
    return encode(b"error", _encoder.encode(FAILURES["internal_error"].body))
