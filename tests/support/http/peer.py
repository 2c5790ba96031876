"""A server that answers each call of the HTTP client as a test orders, and that client with short options."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import trustme

from b2b_chat.kit.http.client import HttpClient
from b2b_chat.kit.http.response import Response

WAIT_SECONDS: Final = 10


OK: Final = b"HTTP/1.1 200 OK\r\n"


FINE: Final = OK + b"Content-Length: 4\r\n\r\nfine"


GOODBYE_SECONDS: Final = 0.1
"""How long both ends of connections take to close; the event loops do not report it."""


Answering = Callable[["Call"], Awaitable[None]]


class Call:
    """One request that came, and on which of the connections."""

    def __init__(
        self, head: bytes, body: bytes, at: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        self.raw_head = head
        self.body = body
        self.connection = at
        self.reader = reader
        self.writer = writer

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    def hang_up(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        opened = self.writer.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Place:
    """A server that answers every call as the test orders, and records the calls."""

    def __init__(self, answer: Answering) -> None:
        self.answer = answer
        self.calls: list[Call] = []
        self.connections = 0
        self.open: set[asyncio.StreamWriter] = set()
        self.port = 0
        self._serving: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self.open.add(writer)
        self.connections += 1
        at = self.connections
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                sizes = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                call = Call(head, await reader.readexactly(sum(sizes)), at, reader, writer)
                self.calls.append(call)
                await self.answer(call)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the caller has left, or the test has
        finally:
            writer.close()
            self.open.discard(writer)
            self._serving.discard(task)

    async def close(self) -> None:
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)


@asynccontextmanager
async def place(
    answer: Answering, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Place]:
    served = Place(answer)
    server = await asyncio.start_server(served.serve, host, 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        await served.close()
        await asyncio.sleep(0.01)  # in which the transports close


@asynccontextmanager
async def raw_place(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A port on which every connection is served so and closed."""

    async def serve_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve_and_close, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(GOODBYE_SECONDS)


def client_of(url: str, **options: Any) -> HttpClient:
    defaults = {"headers": {}, "max_connections": 4, "connect_seconds": WAIT_SECONDS, "lost_after_seconds": 50}
    return HttpClient(url, **{**defaults, **options})


def url_of(served: Place, *, scheme: str = "http", host: str = "127.0.0.1") -> str:
    return f"{scheme}://{host}:{served.port}"


async def fine(call: Call) -> None:
    await call.send(FINE)


async def never(call: Call) -> None:
    await call.reader.read()  # which returns when the caller has left


def sending(*parts: bytes, then: Callable[[Call], None] | None = None) -> Answering:
    async def answer(call: Call) -> None:
        await call.send(*parts)
        if then is not None:
            then(call)

    return answer


async def read_all(response: Response) -> bytes:
    body = b""
    while piece := await response.read():
        body += piece
    return body


async def call(
    http: HttpClient,
    target: str = "/",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    method: str = "POST",
) -> tuple[int, bytes]:
    async with asyncio.timeout(WAIT_SECONDS):
        with await http.send(method, target, headers or {}, body) as response:
            return response.status, await read_all(response)


async def becomes(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.001)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def free_slots(http: HttpClient) -> int:
    return http._slots._value


def tls_of(authority: trustme.CA, *names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS contexts for a server of these names, and for clients that trust its authority."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client
