"""A gateway on a raw socket that sends exactly the bytes that a test dictates, broken HTTP included.

The real gateway is tested against the product elsewhere; this one shows what a real one cannot be made to show.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import msgspec
from msgspec import structs

from b2b_chat.contract.errors import FAILURES, Code, ErrorBody
from b2b_chat.contract.schemas import ChatDelta, ChatRequest, ChatResult, Usage
from b2b_chat.contract.sse import encode

USAGE: Final = Usage(prompt_tokens=11, completion_tokens=7, total_tokens=18)
ANSWER: Final = "Once upon a time."


class Call:
    """One request that the gateway got."""

    def __init__(self, connection: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection = connection
        """Which connection brought it: 1, 2, 3 …"""
        self.headers: dict[str, str] = {}
        self.body = b""
        self.left = asyncio.Event()
        """Set when the product has closed the connection before the answer was complete."""
        self._reader = reader
        self._writer = writer

    @property
    def request(self) -> ChatRequest:
        """The body, decoded."""
        return msgspec.json.decode(self.body, type=ChatRequest)

    async def receive(self) -> bool:
        """Read the request; False when the connection has ended instead."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return False
        lines = head.decode().split("\r\n")
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        self.body = await self._reader.readexactly(int(self.headers.get("content-length", "0")))
        return True

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def send_chunk(self, data: bytes) -> None:
        """Send a chunk of a body that was begun by `EVENTS_HEAD`; an empty one ends it."""
        await self.send(chunk(data))

    async def wait_until_left(self) -> None:
        """Wait until the product closes the connection."""
        with suppress(ConnectionError):
            await self._reader.read()
        self.left.set()

    def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection, in order or by a reset."""
        self._writer.transport.abort() if reset else self._writer.close()


Reply = Callable[[Call], Awaitable[None]]
"""How one call is answered."""

EVENTS_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def delta(text: str) -> bytes:
    """`event: delta`."""
    return encode(b"delta", msgspec.json.encode(ChatDelta(text)))


def final(text: str, usage: Usage | None = USAGE) -> bytes:
    """`event: final`."""
    return encode(b"final", msgspec.json.encode(ChatResult(text, usage)))


def error_event(code: Code, upstream: str | None = None) -> bytes:
    """`event: error`; with an upstream, of an answer that this one broke off."""
    detail = structs.replace(FAILURES[code].body.error, upstream=upstream)
    return encode(b"error", msgspec.json.encode(ErrorBody(detail)))


def whole(status: int, body: bytes, *, headers: Iterable[str] = (), content_type: str = "application/json") -> bytes:
    """A complete answer that leaves the connection open."""
    lines = [f"HTTP/1.1 {status} Any", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answering(text: str = ANSWER, usage: Usage | None = USAGE, *, pieces: int = 3, pause_seconds: float = 0.0) -> Reply:
    """A good answer, in pieces where a stream is asked for, with a pause after each."""

    async def reply(call: Call) -> None:
        if not call.request.stream:
            await call.send(whole(200, msgspec.json.encode(ChatResult(text, usage))))
            return
        await call.send(EVENTS_HEAD)
        size = max(1, -(-len(text) // pieces))
        for start in range(0, len(text), size):
            await call.send_chunk(delta(text[start : start + size]))
            await asyncio.sleep(pause_seconds)
        await call.send_chunk(final(text, usage))
        await call.send_chunk(b"")

    return reply


def refusing(code: Code, *headers: str) -> Reply:
    """A failure of the vocabulary, with its status."""

    async def reply(call: Call) -> None:
        failure = FAILURES[code]
        await call.send(whole(failure.status, msgspec.json.encode(failure.body), headers=headers))

    return reply


def sending(*parts: bytes, hang_up: bool = True, reset: bool = False) -> Reply:
    """These bytes, and then the end of the connection, or silence until the product has left."""

    async def reply(call: Call) -> None:
        for part in parts:
            await call.send(part)
        if hang_up or reset:
            call.hang_up(reset=reset)
        else:
            await call.wait_until_left()

    return reply


def events(*parts: bytes, end: bool = True) -> Reply:
    """A stream of these events, and then its end, or silence until the product has left."""

    async def reply(call: Call) -> None:
        await call.send(EVENTS_HEAD)
        for part in parts:
            await call.send_chunk(part)
        await (call.send_chunk(b"") if end else call.wait_until_left())

    return reply


def in_turn(*replies: Reply) -> Reply:
    """One reply for each call, the last one for all that follow."""
    left = list(replies)

    async def reply(call: Call) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(call)

    return reply


def chunk(data: bytes) -> bytes:
    """A chunk of a body that was begun by `EVENTS_HEAD`."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Gate:
    """Answers that begin, where they are streamed, and wait until a test lets them be finished."""

    def __init__(self, beginning: str = "", text: str = ANSWER) -> None:
        assert text.startswith(beginning)
        self._beginning = beginning
        self._text = text
        self._opened = asyncio.Event()

    def open(self) -> None:
        """Let all answers be finished."""
        self._opened.set()

    async def __call__(self, call: Call) -> None:
        """Answer one call."""
        if call.request.stream:
            await call.send(EVENTS_HEAD)
            if self._beginning:
                await call.send_chunk(delta(self._beginning))
        leaving = asyncio.create_task(call.wait_until_left())
        opening = asyncio.create_task(self._opened.wait())
        await asyncio.wait({leaving, opening}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        opening.cancel()
        await asyncio.wait({leaving, opening})
        if call.left.is_set():
            return
        if call.request.stream:
            await call.send_chunk(delta(self._text[len(self._beginning) :]))
            await call.send_chunk(final(self._text))
            await call.send_chunk(b"")
        else:
            await call.send(whole(200, msgspec.json.encode(ChatResult(self._text, USAGE))))


class FakeGateway:
    """Answers every call by `reply`, and keeps the calls."""

    def __init__(self) -> None:
        self.url = ""
        self.reply: Reply = answering()
        self.calls: list[Call] = []
        self._connections = 0
        self._arrivals: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._serving: set[asyncio.Task[Any]] = set()

    def forget(self) -> None:
        """Be as new: a good answer for every call, and none yet."""
        self.reply = answering()
        self.calls.clear()
        self._arrivals.clear()

    async def call(self, number: int = 1) -> Call:
        """The call with this number, counted from 1, once it is here."""
        async with asyncio.timeout(10):
            await self._arrivals[number].wait()
        return self.calls[number - 1]

    async def close(self) -> None:
        """Close every connection."""
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the calls of one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self._connections += 1
        call = Call(self._connections, reader, writer)
        try:
            while await call.receive():
                self.calls.append(call)
                self._arrivals[len(self.calls)].set()
                await self.reply(call)
                if writer.is_closing():
                    break
                call = Call(call.connection, reader, writer)
        except ConnectionError:
            call.left.set()
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._serving.discard(task)
            writer.close()


@asynccontextmanager
async def fake_gateway() -> AsyncIterator[FakeGateway]:
    """A gateway on a free port of 127.0.0.1."""
    gateway = FakeGateway()
    server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0)
    gateway.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield gateway
    finally:
        server.close()
        await gateway.close()
