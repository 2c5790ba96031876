"""What reading by HTTP means in every place: `HEAD` beside `GET`, `ETag`, and one address for one thing."""

import hashlib
from typing import Any, Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

_NOWHERE: Final = "/."
_OK: Final = 200


class Reading:
    """ASGI layer for requests that read.

    * `HEAD` gets the answer to `GET` without its body.
    * JSON that was read whole has an `ETag`, and `If-None-Match` with the same one gets 304 without a body.
    * A path with `//` is not found, whatever the method, although Litestar would take it for one with `/`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        if "//" in scope["path"]:
            scope["path"] = _NOWHERE
        if scope["method"] not in {"GET", "HEAD"}:
            await self._app(scope, receive, send)
            return
        asked = next((value for name, value in scope["headers"] if name == b"if-none-match"), b"")
        if scope["method"] == "HEAD":
            scope["method"], send = "GET", _WithoutBody(send)
        await self._app(scope, receive, _Tagged(send, asked))


class _WithoutBody:
    """Sends the head of an answer, and nothing of its body."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._send(message)
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


class _Tagged:
    """Holds the head of an answer back until its body is there, where the answer is JSON."""

    def __init__(self, send: Send, asked: bytes) -> None:
        self._send = send
        self._asked = asked
        self._start: Any = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_json(message):
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None and message["type"] == "http.response.body" and not message.get("more_body"):
            tag = b'W/"' + hashlib.sha256(message["body"]).hexdigest()[:32].encode() + b'"'
            start["headers"] = [*start["headers"], (b"etag", tag)]
            if tag in {each.strip() for each in self._asked.split(b",")}:
                start["status"] = 304
                start["headers"] = [each for each in start["headers"] if not each[0].startswith(b"content-")]
                message["body"] = b""
        if start is not None:
            await self._send(start)
        await self._send(message)


def _is_json(message: Any) -> bool:
    return message["status"] == _OK and any(
        name == b"content-type" and value.startswith(b"application/json") for name, value in message["headers"]
    )
