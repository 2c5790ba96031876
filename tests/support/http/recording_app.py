"""An app behind a proxy: it records the requests that reach it and answers when the test lets it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

FIRST = b'event: delta\ndata: {"text":"first"}\n\n'
LAST = b'event: final\ndata: {"text":"first"}\n\n'


@dataclass
class Arrival:
    """A request as it arrived."""

    method: str
    target: bytes
    headers: dict[str, list[str]]
    body: bytes


@dataclass
class AppBehind:
    """The ASGI app. A path that ends in `/stream` sends one event, and the last when `go_on` is set; one that ends in
    `/held` answers when it is set.
    """

    arrivals: list[Arrival] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    last_is_sent: bool = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        body = b"".join([piece async for piece in _pieces(receive)])
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode(), []).append(value.decode())
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        self.arrivals.append(Arrival(scope["method"], target, headers, body))
        await self._answer(scope["path"], send)

    async def _answer(self, path: str, send: Any) -> None:
        kind = b"text/event-stream" if path.endswith("/stream") else b"application/json"
        if path.endswith("/held"):
            await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        if path.endswith("/stream"):
            await send({"type": "http.response.body", "body": FIRST, "more_body": True})
            await self.go_on.wait()
            self.last_is_sent = True
            await send({"type": "http.response.body", "body": LAST, "more_body": False})
        else:
            await send({"type": "http.response.body", "body": b"{}", "more_body": False})

    @contextmanager
    def nothing_arrives(self) -> Iterator[None]:
        """Assert that what is done in the block reaches the app in no part."""
        before = len(self.arrivals)
        yield
        assert len(self.arrivals) == before, self.arrivals[before:]


async def _pieces(receive: Any) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


async def _live(receive: Any, send: Any) -> None:
    while True:
        phase = (await receive())["type"]
        await send({"type": f"{phase}.complete"})
        if phase == "lifespan.shutdown":
            return
