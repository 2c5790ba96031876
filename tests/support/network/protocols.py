"""What a proxy understands of its traffic: HTTP requests, and the statements sent to PostgreSQL."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from support.network.proxy import Cut, Link, Watch

_LENGTH_BYTES: Final = 4


class HttpRequest(NamedTuple):
    """One request as it stood on the wire; header names in lower case."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes:
        """The first header of this name, or nothing."""
        return next((value for known, value in self.headers if known == name), b"")


def http_requests(seen: Callable[[HttpRequest], None]) -> Callable[[Link], Watch]:
    """A watch that reports every whole request that has a Content-Length or no body."""

    def for_link(_link: Link) -> Watch:
        buffer = bytearray()

        async def watch(data: bytes) -> None:
            buffer.extend(data)
            while request := _take_request(buffer):
                seen(request)

        return watch

    return for_link


def _take_request(buffer: bytearray) -> HttpRequest | None:
    head, separator, rest = bytes(buffer).partition(b"\r\n\r\n")
    if not separator:
        return None
    request_line, *lines = head.split(b"\r\n")
    headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    method, target, _ = request_line.split(b" ", 2)
    request = HttpRequest(method.decode(), target, headers, b"")
    length = int(request.header(b"content-length") or 0)
    if len(rest) < length:
        return None
    del buffer[: len(head) + len(separator) + length]
    return request._replace(body=rest[:length])


class StatementTrap:
    """Springs once, at the first statement that holds a text, before PostgreSQL gets it or after.

    Args:
        marker: Part of the SQL.
        after: Let the statement through and hold its reply; else hold the statement itself.
        skip: How many such statements go by first.
    """

    def __init__(self, marker: str, *, after: bool, skip: int = 0) -> None:
        self.marker = marker
        self.after = after
        self.sprung = asyncio.Event()
        self._skip = skip
        self._over = asyncio.Event()
        self._link: Link | None = None
        self._cut = False

    def release(self, *, cut: bool) -> None:
        """Let the held one go on, or cut its connection: then a held statement never gets to the server."""
        self._over.set()
        if self._link is not None:
            if cut:
                self._link.close(reset=True)
            self._link.replies_flow.set()
        self._cut = cut

    async def meet(self, link: Link, sql: str) -> None:
        """See a statement come by."""
        if self.sprung.is_set() or self.marker not in sql:
            return
        if self._skip:
            self._skip -= 1
            return
        self._link = link
        self.sprung.set()
        if self.after:
            link.replies_flow.clear()
            return
        await self._over.wait()
        if self._cut:
            raise Cut


class Statements:
    """A watch that knows which SQL each connection runs, prepared or not, and springs the trap that is set."""

    def __init__(self) -> None:
        self.trap: StatementTrap | None = None

    def __call__(self, link: Link) -> Watch:
        """The watch of one connection."""
        reader = _Frontend()

        async def watch(data: bytes) -> None:
            for sql in reader.feed(data):
                if self.trap is not None:
                    await self.trap.meet(link, sql)

        return watch


class _Frontend:
    """Reads one client's side of PostgreSQL's protocol, version 3, without TLS.

    Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._has_begun = False
        self._prepared: dict[bytes, str] = {}

    def feed(self, data: bytes) -> Iterator[str]:
        """The statements that are run by what came."""
        self._buffer += data
        while (message := self._take()) is not None:
            kind, body = message
            name, _, rest = body.partition(b"\0")
            if kind == b"P":
                self._prepared[name] = rest.partition(b"\0")[0].decode()
            elif kind == b"B":
                yield self._prepared.get(rest.partition(b"\0")[0], "")
            elif kind == b"Q":
                yield name.decode()

    def _take(self) -> tuple[bytes, bytes] | None:
        kind_bytes = 1 if self._has_begun else 0
        if len(self._buffer) < kind_bytes + _LENGTH_BYTES:
            return None
        length = int.from_bytes(self._buffer[kind_bytes : kind_bytes + _LENGTH_BYTES], "big")
        if len(self._buffer) < kind_bytes + length:
            return None
        kind = self._buffer[:kind_bytes]
        body = self._buffer[kind_bytes + _LENGTH_BYTES : kind_bytes + length]
        self._buffer = self._buffer[kind_bytes + length :]
        self._has_begun = True
        return kind, body
