"""A request's body as bytes: read up to a limit, or read and thrown away so that a refusal reaches its sender."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, ReceiveMessage, Scope, Send

from b2b_chat.kit.errors import BodyTooLarge, InvalidRequest

_MAX_DISCARDED_BYTES: Final = 16 * 1024 * 1024
"""Far above what either app accepts, so that honest mistakes get their refusal; clients can send more in other ways."""
_DISCARD_SECONDS: Final = 10
"""A sender that needs longer may lose the refusal, or it would hold the connection for as long as it likes."""
_SILENCE_SECONDS: Final = 2
"""A client that sends nothing for so long waits for the response, and is not in the middle of sending."""
_LEAST_REFUSAL: Final = 400


class BrokenBody(InvalidRequest):
    """The body has no proper end: it is not framed as HTTP requires, or its sender has left."""

    message = "The request's body broke off, or its chunks are malformed."


async def read_body(receive: Receive, *, announced_bytes: int | None, max_bytes: int) -> bytes:
    """Return a request's whole body.

    Args:
        receive: The ASGI callable, of which nothing has been read.
        announced_bytes: The Content-Length, if there is one.
        max_bytes: What the caller accepts.

    Raises:
        BodyTooLarge: It is larger, or says that it will be.
        BrokenBody: It has no proper end.
    """
    if announced_bytes is not None and announced_bytes > max_bytes:
        raise BodyTooLarge
    pieces: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise BrokenBody
        pieces.append(message["body"])
        size_bytes += len(message["body"])
        if size_bytes > max_bytes:
            raise BodyTooLarge
        if not message["more_body"]:
            return b"".join(pieces)


class UnreadBodies:
    """ASGI layer that reads what is left of a refused request's body before the refusal is sent.

    The server closes a connection on which a part of the request was not read. Where the client is still sending, that
    resets the connection, and many clients then report the reset in place of the response.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive)

        def send_after_body(message: Message) -> Awaitable[None]:
            is_refusal = message["type"] == "http.response.start" and message["status"] >= _LEAST_REFUSAL
            if is_refusal and not body.is_read:
                return _send_after(body, message, send)
            return send(message)  # not a coroutine of its own: this is called for each delta

        await self._app(scope, body.receive, send_after_body)


async def _send_after(body: "_Body", message: Message, send: Send) -> None:
    await body.discard()
    await send(message)


class _Body:
    """What an app has read of a request's body."""

    def __init__(self, scope: HTTPScope, receive: Receive) -> None:
        self._headers = scope["headers"]
        self._receive = receive
        self._has_begun = False
        self.is_read = False

    async def receive(self) -> ReceiveMessage:
        self._has_begun = True
        message = await self._receive()
        if message["type"] != "http.request" or not message["more_body"]:
            self.is_read = True
        return message

    async def discard(self) -> None:
        headers = dict(self._headers)
        announced_bytes = int(headers.get(b"content-length", 0))
        if not announced_bytes and b"transfer-encoding" not in headers:
            return
        # A client that waits for "100 Continue" sends nothing if it is refused, and reading would invite it.
        is_waiting = not self._has_begun and b"expect" in headers
        if is_waiting or announced_bytes > _MAX_DISCARDED_BYTES:
            return
        discarded_bytes = 0
        loop = asyncio.get_running_loop()
        end_at = loop.time() + _DISCARD_SECONDS
        with suppress(TimeoutError):
            while not self.is_read and discarded_bytes <= _MAX_DISCARDED_BYTES:
                async with asyncio.timeout_at(min(end_at, loop.time() + _SILENCE_SECONDS)):
                    message = await self.receive()
                if message["type"] == "http.request":
                    discarded_bytes += len(message["body"])
