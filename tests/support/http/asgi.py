"""Call an ASGI app without a server, for requests that no client can send or that a server hides."""

from collections.abc import Iterable
from typing import Any

from litestar.types import ASGIApp


class Exchange:
    """One request, fed to an app by hand, and what the app made of it."""

    def __init__(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[bytes, bytes]] = (),
        messages: Iterable[dict[str, Any]] = (),
    ) -> None:
        path, _, query = target.partition("?")
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": list(headers),
        }
        self.sent: list[dict[str, Any]] = []
        self._messages = iter(messages)

    async def receive(self) -> Any:
        """The next message; after the last one the client is gone."""
        return next(self._messages, {"type": "http.disconnect"})

    async def send(self, message: Any) -> None:
        """Keep what the app sends."""
        self.sent.append(message)

    async def run(self, app: ASGIApp) -> "Exchange":
        """Let the app serve it."""
        await app(self.scope, self.receive, self.send)  # type: ignore[arg-type] # only what the apps here read
        return self

    @property
    def status(self) -> int | None:
        """The status sent, if any."""
        return self.sent[0]["status"] if self.sent else None

    @property
    def body(self) -> bytes:
        """The body sent."""
        return b"".join(message.get("body", b"") for message in self.sent)


def in_one_piece(body: bytes) -> list[dict[str, Any]]:
    """The messages of a request that came at once."""
    return [{"type": "http.request", "body": body, "more_body": False}]
