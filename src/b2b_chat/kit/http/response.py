"""The answer to one call, as it comes."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from b2b_chat.kit.http.errors import AnswerBroken, AnswerTooLarge, HttpError, NoAnswer, NotHttp

if TYPE_CHECKING:
    from b2b_chat.kit.http.connection import Connection


class Response:
    """An answer as it comes. It must be closed, also when it is complete: then its connection is used again.

    ::

        with await connection.ask(request, on_close) as response:
            while chunk := await response.read():
                ...
    """

    def __init__(self, connection: "Connection", on_close: Callable[["Connection"], None]) -> None:
        self._connection = connection
        self._pieces = connection.pieces
        self._on_close = on_close
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._error: HttpError | None = None
        self._is_closed = False
        self.status = 0
        """0 until its head is here."""
        self.headers: dict[str, str] = {}
        """By lower-case name; the last one of a name."""
        self.is_complete = False
        """Whether all of it has come, read or not."""

    @property
    def is_read(self) -> bool:
        """Whether all of it has come and was read."""
        return self.is_complete and not self._pieces

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    async def begun(self) -> None:
        """Return when the head is here.

        Raises:
            NoAnswer: The connection ended before it.
            NotHttp: What came is none.
        """
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._wait()
        if self.headers.get("content-encoding", "identity").lower() != "identity":
            raise NotHttp
        if self.headers.get("transfer-encoding", "chunked").lower() != "chunked":
            raise NotHttp

    async def read(self) -> bytes:
        """All bytes that are ready, once there are any; none at the end.

        Raises:
            AnswerBroken: The connection ended before the answer did, or the answer was closed.
            NotHttp: What came is none.
        """
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self.is_complete:
                return b""
            await self._wait()
        return self.read_ready()

    async def read_all(self, *, max_bytes: int) -> bytes:
        """All of it.

        Raises:
            AnswerTooLarge: It has more bytes than that.
            AnswerBroken, NotHttp: As `read`.
        """
        body = bytearray()
        while chunk := await self.read():
            body += chunk
            if len(body) > max_bytes:
                raise AnswerTooLarge
        return bytes(body)

    def read_ready(self) -> bytes:
        """What has come and was not read."""
        self._connection.resume()
        pieces = self._pieces
        ready = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return ready

    async def gather(self, seconds: float) -> None:
        """Let the kernel keep what comes for so long, then read it: together bytes cost about as much as one."""
        self._connection.pause()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._connection.resume()
        # The event loop looks at its sockets before it comes back to who has slept twice.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def close(self) -> None:
        """Say that nobody needs it any more."""
        if not self._is_closed:
            self._is_closed = True
            if not self.is_read:
                self._error = self._error or AnswerBroken()
                self.wake()
            self._pieces = []  # what comes on the connection from now on is another's
            self._connection.done_with(self)
            self._on_close(self._connection)

    # What the connection calls.

    def end(self) -> None:
        """All of it is here; or that was an informational answer, and the answer follows."""
        if self.status:
            self.is_complete = True
        else:
            self.headers.clear()

    def cut(self, *, by_error: bool) -> None:
        """The connection has ended."""
        # RFC 9112, section 6.3: a body without a length ends with its connection. Over TLS the event loops do not tell
        # whether the other end said goodbye, so that who relies on such a body must know its end by itself.
        is_unmeasured = not self.headers.keys() & {"content-length", "transfer-encoding"}
        if self.status and is_unmeasured and not by_error and self._error is None:
            self.is_complete = True
        self.fail(AnswerBroken() if self.status else NoAnswer())

    def fail(self, error: HttpError) -> None:
        """It will not come; unless it is here already."""
        if not self.is_complete:
            self._error = self._error or error
        self.wake()

    def wake(self) -> None:
        """Let who waits look."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        await self._waiter
