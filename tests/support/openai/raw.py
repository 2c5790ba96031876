"""An OpenAI on a raw socket that sends exactly the bytes that a test dictates, broken HTTP included."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec

Reply = Callable[["RawCall"], Awaitable[None]]
"""How one call is answered."""

STREAM_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class RawCall:
    """One request that came."""

    def __init__(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        self.body = body
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def send_chunk(self, data: bytes) -> None:
        """Send a chunk of a body that `STREAM_HEAD` began; an empty one ends it."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def hang_up(self) -> None:
        """Close the connection."""
        self._writer.close()


class RawUpstream:
    """Answers every call by `reply`, and keeps the calls."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.url = ""
        self.calls: list[RawCall] = []
        self._serving: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the calls of one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line
                )
                call = RawCall(head, await reader.readexactly(length), writer)
                self.calls.append(call)
                await self.reply(call)
        writer.close()
        self._serving.discard(task)

    async def close(self) -> None:
        """Close every connection."""
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)


def sending(*parts: bytes) -> Reply:
    """These bytes, and then the end of the connection."""

    async def reply(call: RawCall) -> None:
        for part in parts:
            await call.send(part)
        call.hang_up()

    return reply


def whole(body: bytes, *, status: str = "200 OK", content_type: str = "application/json") -> Reply:
    """A complete answer that leaves the connection open."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"

    async def reply(call: RawCall) -> None:
        await call.send(head.encode() + body)

    return reply


def streaming(*parts: bytes, end: bool = True) -> Reply:
    """A stream of these parts, and then its end or the end of the connection."""

    async def reply(call: RawCall) -> None:
        await call.send(STREAM_HEAD)
        for part in parts:
            await call.send_chunk(part)
        if end:
            await call.send_chunk(b"")
        else:
            call.hang_up()

    return reply


def data(value: object) -> bytes:
    """An event that holds this value as JSON."""
    return b"data: %b\n\n" % msgspec.json.encode(value)


def delta(text: str) -> bytes:
    """The event of a piece of text."""
    return data({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


FINISH: Final = data({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
USAGE: Final = data({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}})
DONE: Final = b"data: [DONE]\n\n"


@asynccontextmanager
async def raw_upstream(reply: Reply) -> AsyncIterator[RawUpstream]:
    """Such an upstream, on a free port of 127.0.0.1."""
    upstream = RawUpstream(reply)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield upstream
    finally:
        server.close()
        await upstream.close()
