"""The request id: taken from the caller or made, added to every log line and returned.

The same layer writes the one access-log line of a request, and counts it.
"""

import re
import time
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import Any, Final
from uuid import uuid4

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from b2b_chat.kit.current_request import client_request_id, current_request_id
from b2b_chat.kit.metrics import count_request
from b2b_chat.kit.tracing import serving

REQUEST_ID_HEADER: Final = "X-Request-ID"
_ACCEPTED = re.compile(rb"[A-Za-z0-9._-]{1,128}")

_noted: ContextVar[dict[str, Any] | None] = ContextVar("noted", default=None)

log = structlog.get_logger(__name__)


def note_in_access_log(**fields: Any) -> None:
    """Add fields to the access-log line of the request that the running task serves: one line a request is enough."""
    noted = _noted.get()
    if noted is not None:
        noted.update(fields)


class RequestId:
    """ASGI layer that gives each request its id and its access-log line.

    An id of 1 to 128 letters, digits, dots, dashes and underscores is accepted; anything else is replaced, since it
    would be written into logs and headers.

    Args:
        app: The app inside.
        keeps_clients_ids: Whether the request gets an id of our own all the same, which alone is passed on and recorded
            as the request's; the client's stands beside it, and is returned.
    """

    def __init__(self, app: ASGIApp, *, keeps_clients_ids: bool = False) -> None:
        self._app = app
        self._keeps_clients_ids = keeps_clients_ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        started_at = time.perf_counter()
        offered = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        has_own = _ACCEPTED.fullmatch(offered) is not None
        request_id = offered.decode() if has_own and not self._keeps_clients_ids else uuid4().hex
        current_request_id.set(request_id)
        client_request_id.set(offered.decode() if has_own and self._keeps_clients_ids else None)
        returned_id = offered if has_own else request_id.encode()
        noted: dict[str, Any] = {}
        _noted.set(noted)
        status = 0

        def send_with_id(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", returned_id)]
            return send(message)  # not a coroutine of its own: this is called for each delta

        with serving(scope["headers"], {"b2b_chat.request_id": request_id}) as span:
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                seconds = time.perf_counter() - started_at
                route = scope.get("path_template") or "unmatched"
                span.answered(method, route, status)
                count_request(method, route, status, seconds)
                duration_ms = round(seconds * 1000, 2)
                log.info("request", method=method, route=route, status=status, duration_ms=duration_ms, **noted)
