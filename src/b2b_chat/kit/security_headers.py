"""Headers of every response, by which browsers and proxies do not frame, guess, run, leak or keep it.

Sources: OWASP Secure Headers, ASVS 5.0 section 3.4. HSTS is nginx's, which alone knows that TLS is there.
"""

from collections.abc import Awaitable
from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
"""For responses that are no pages; a page brings its own policy, which stands."""
_NAMES: Final = frozenset(name for name, _ in SECURITY_HEADERS)


class SecurityHeaders:
    """ASGI layer that adds to each response the `SECURITY_HEADERS` that it does not set itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return

        def send_with_headers(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                missing = (
                    SECURITY_HEADERS
                    if _NAMES.isdisjoint(present)
                    else (each for each in SECURITY_HEADERS if each[0] not in present)
                )
                message["headers"] = [*message["headers"], *missing]
            return send(message)  # not a coroutine of its own: this is called for each delta

        await self._app(scope, receive, send_with_headers)
