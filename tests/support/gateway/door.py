"""The gateway's verification as a door: calls knock with any headers, and its clock stands still."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from litestar.types import Receive, Scope, Send

from b2b_chat.contract.signing import sign
from b2b_chat.gateway.nonces import MemoryNonces, NonceStore
from b2b_chat.gateway.verification import Verification
from support.gateway.app import SECRET, gateway_settings
from support.http.asgi import Exchange, in_one_piece

NOW: Final = 1_764_000_000
LET_IN: Final = (200, None)


class Inside:
    """The app behind the door: says what body it got, and keeps count."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.next_message: Any = None

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        assert message["type"] == "http.request"
        assert message["more_body"] is False
        self.bodies.append(message["body"])
        self.next_message = await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})


class Door:
    """A verification with its clock held still."""

    def __init__(self, *, nonces: NonceStore | None = None, now: float = NOW, **changes: Any) -> None:
        self.inside = Inside()
        self.now = now
        self.nonces = MemoryNonces(ttl_seconds=180, capacity=1000) if nonces is None else nonces
        self.app = Verification(
            self.inside,
            settings=gateway_settings(**changes),
            nonces=self.nonces,
            clock=lambda: datetime.fromtimestamp(self.now, UTC),
        )

    async def knock(
        self, method: str, target: str, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> tuple[int | None, str | None]:
        """The status, and the error's code where there is one."""
        exchange = await Exchange(method, target, headers, in_one_piece(body)).run(self.app)
        return exchange.status, json.loads(exchange.body)["error"]["code"] if exchange.body else None


def signed(
    method: str = "POST", target: str = "/v1/chat", body: bytes = b"{}", *, secret: str = SECRET, now: int = NOW
) -> list[tuple[bytes, bytes]]:
    """Return the headers that sign a call."""
    headers = sign(secret.encode(), method, target, body, unix_seconds=now)
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
