"""A guard of a laptop's servers against DNS rebinding.

A page of a stranger's site may have its own name lead to 127.0.0.1, and then its script reads what answers there: mails
with login codes, say. The browser still sends the stranger's name as `Host`. Servers behind nginx need no such guard,
because nginx answers to their own names alone.
"""

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

_REFUSAL = msgspec.json.encode(
    {"detail": {"code": "unknown_host", "message": "This server answers to other names.", "retryable": False}}
)


def is_known_host(header: str, known: Collection[str] = ()) -> bool:
    """Return whether a `Host` is an address, a name of this machine or its network, or one of some known names.

    A name without a dot is none that a stranger could own.
    """
    try:
        parts = urlsplit(f"//{header}")
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if host in known or host.endswith(".localhost") or not {".", ":"} & set(host):
        return bool(host)
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


class KnownHosts:
    """ASGI layer that refuses requests to another name."""

    def __init__(self, app: ASGIApp, *, known: Collection[str]) -> None:
        self._app = app
        self._known = known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == ScopeType.HTTP:
            host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
            if not is_known_host(host, self._known):
                headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_REFUSAL))]
                await send({"type": "http.response.start", "status": 421, "headers": headers})
                await send({"type": "http.response.body", "body": _REFUSAL, "more_body": False})
                return
        await self._app(scope, receive, send)
