"""The response to one call, as it arrives: a buffer, and its progress. It knows no connection.

    AWAITED ──head──▶ BEGUN ──end──▶ COMPLETE
       └───────────────┴──failure──▶ BROKEN

A response is closed in any of these states, and stays in it; only AWAITED and BEGUN become BROKEN by that.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from typing import Final, Protocol, Self

from b2b_chat.kit.http.errors import AnswerBroken, AnswerTooLarge, HttpError, NoAnswer, NotHttp

MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
"""The largest body that `read_all` returns by default. A model's longest answer is far below that."""
_DRAIN_SECONDS: Final = 0.1
"""The end of a body arrives with the last event or a moment later. A longer wait costs more than a new connection."""

_CODINGS: Final = {
    "gzip",
    "x-gzip",
    "deflate",
    "br",
    "zstd",
    "compress",
    "x-compress",
    "dcb",
    "dcz",
    "exi",
    "aes128gcm",
}
"""The registered content codings. Servers that send another word, such as `none` or `utf-8`, send the body as it is."""


class State(Enum):
    """How far a response has come."""

    AWAITED = auto()
    """Its head has not arrived."""
    BEGUN = auto()
    """Its head has arrived, its body not all."""
    COMPLETE = auto()
    """All of it has arrived, read or not."""
    BROKEN = auto()
    """It failed before it was complete."""


class Flow(Protocol):
    """Stops and restarts what fills the buffer."""

    def pause(self) -> None:
        """Leave incoming bytes in the kernel."""

    def resume(self) -> None:
        """Take bytes in again."""


class Response:
    """A response as it arrives. It must be closed, also when it is complete: then its connection is used again.

    ::

        with await connection.ask(request, on_close) as response:
            while chunk := await response.read():
                ...

    Args:
        pieces: The buffer: the part of the body that has arrived and was not read. The connection appends to it.
        flow: Where the bytes come from.
        on_close: Called once, when the response is not needed any more.
    """

    def __init__(self, pieces: list[bytes], flow: Flow, on_close: Callable[["Response"], None]) -> None:
        self._pieces = pieces
        self._flow = flow
        self._on_close = on_close
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._error: HttpError | None = None
        self._is_closed = False
        self.state = State.AWAITED
        self.status = 0
        """0 until the head has arrived."""
        self.headers: dict[str, str] = {}
        """By lower-case name. Of several with the same name, the last one."""

    @property
    def is_complete(self) -> bool:
        """Whether all of it has arrived, read or not."""
        return self.state is State.COMPLETE

    @property
    def is_read(self) -> bool:
        """Whether all of it has arrived and was read."""
        return self.state is State.COMPLETE and not self._pieces

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    async def begun(self) -> None:
        """Return when the head has arrived.

        Raises:
            NoAnswer: The connection ended before it.
            NotHttp: The peer sent something that is not an HTTP response.
        """
        while self.state is State.AWAITED:
            await self._wait()
        if not self.status:
            raise self._error or NoAnswer
        if self._is_coded():
            raise NotHttp
        if self.headers.get("transfer-encoding", "chunked").lower() != "chunked":
            raise NotHttp

    async def read(self) -> bytes:
        """Return all bytes that are ready, once there are any; none at the end.

        Raises:
            AnswerBroken: The connection ended before the response did, or the response was closed.
            NotHttp: The peer sent something that is not HTTP.
        """
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self.state is State.COMPLETE:
                return b""
            await self._wait()
        return self.read_ready()

    async def read_all(self, *, max_bytes: int = MAX_ANSWER_BYTES) -> bytes:
        """Return the whole body.

        Raises:
            AnswerTooLarge: It has more than `max_bytes`.
            AnswerBroken, NotHttp: As `read`.
        """
        body = bytearray()
        while chunk := await self.read():
            body += chunk
            if len(body) > max_bytes:
                raise AnswerTooLarge
        return bytes(body)

    def read_ready(self) -> bytes:
        """Return what has arrived and was not read."""
        self._flow.resume()
        pieces = self._pieces
        ready = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return ready

    async def gather(self, seconds: float) -> None:
        """Leave incoming bytes in the kernel for so long, then take them in: many bytes cost about as much as one."""
        self._flow.pause()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._flow.resume()
        # The event loop polls its sockets before it resumes a task that has slept twice.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def drain(self, seconds: float = _DRAIN_SECONDS) -> bytes:
        """Read the end of the body for a moment, so that the connection can be used again, and return what came.

        For a caller that has its answer: it never raises, since nothing that happens here can spoil that answer.
        """
        rest = bytearray()
        if not self.is_read:
            with suppress(TimeoutError, HttpError):
                async with asyncio.timeout(seconds):
                    while len(rest) <= MAX_ANSWER_BYTES and (chunk := await self.read()):
                        rest += chunk
        return bytes(rest)

    def close(self) -> None:
        """Give up the response."""
        if not self._is_closed:
            self._is_closed = True
            if not self.is_read:
                self._error = self._error or AnswerBroken()
                self.fail(self._error)
            self._pieces = []  # the buffer is the connection's, and its next call's
            self._on_close(self)

    def begin(self, status: int) -> None:
        """Take note that the final head has arrived."""
        self.status = status
        self.state = State.BEGUN

    def end(self) -> None:
        """Take note that a message has ended: this response, or an informational one, after which it follows."""
        if self.state is State.BEGUN:
            self.state = State.COMPLETE
        else:
            self.headers.clear()

    def cut(self, *, by_error: bool) -> None:
        """Take note that the connection has ended, which completes a body that has no length."""
        # RFC 9112, section 6.3: a body without a length ends with its connection. Over TLS the event loops do not tell
        # whether the peer sent close_notify, so that readers of such a body must recognise its end by themselves.
        is_unmeasured = not self.headers.keys() & {"content-length", "transfer-encoding"}
        if self.state is State.BEGUN and is_unmeasured and not by_error:
            self.state = State.COMPLETE
        self.fail(AnswerBroken() if self.status else NoAnswer())

    def fail(self, error: HttpError) -> None:
        """Take note that the rest will not arrive; a no-op once all of it has."""
        if self.state is not State.COMPLETE:
            self.state = State.BROKEN
            self._error = self._error or error
        self.wake()

    def wake(self) -> None:
        """Wake the waiting reader."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _is_coded(self) -> bool:
        """Return whether the body is compressed, though no request asks for that."""
        codings = self.headers.get("content-encoding")
        return codings is not None and not _CODINGS.isdisjoint(map(str.strip, codings.lower().split(",")))

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        await self._waiter
