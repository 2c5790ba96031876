"""Requests of pages of other websites: which websites may send them, with an API key and never with a cookie.

Source: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from collections.abc import Awaitable, Collection
from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

_READ: Final = b"X-Request-ID, Retry-After, RateLimit, RateLimit-Policy, ETag, Deprecation, Sunset"
_SENT: Final = b"Authorization, Content-Type, Accept, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-ID"
_METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_PREFLIGHT_SECONDS: Final = b"600"


class CrossOrigin:
    """ASGI layer that lets pages of known websites call the API with a key.

    No answer has `Access-Control-Allow-Credentials`, so that a browser shows none to a page that sends cookies.

    Args:
        app: The app inside.
        origins: The websites, as `https://app.example.com`.
        path: What all paths of the API begin with.
    """

    def __init__(self, app: ASGIApp, *, origins: Collection[str], path: str = "/v1/") -> None:
        self._app = app
        self._origins = frozenset(origin.encode() for origin in origins)
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != ScopeType.HTTP or not self._origins or not scope["path"].startswith(self._path):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"")
        is_known = origin in self._origins
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await _answer_preflight(send, origin if is_known else None)
            return
        has_key = headers.get(b"authorization", b"").lower().startswith(b"bearer ") and b"cookie" not in headers
        allowed = [(b"vary", b"Origin")]
        if is_known and has_key:
            allowed += [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _READ)]

        def send_with_origin(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *allowed]
            return send(message)  # not a coroutine of its own: this is called for each delta

        await self._app(scope, receive, send_with_origin)


async def _answer_preflight(send: Send, origin: bytes | None) -> None:
    """Say to a browser what a page may send: to an unknown website's nothing."""
    headers = [(b"vary", b"Origin")]
    if origin is not None:
        headers += [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _SENT),
            (b"access-control-max-age", _PREFLIGHT_SECONDS),
        ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
