"""Our client beside httpx, before one scripted server: what one makes of a response, so does the other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from typing import Final, NamedTuple

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from b2b_chat.kit.http.client import HttpClient
from b2b_chat.kit.http.errors import HttpError

WAIT_SECONDS: Final = 20
OK: Final = b"HTTP/1.1 200 OK\r\n"
CHUNKED: Final = OK + b"Transfer-Encoding: chunked\r\n\r\n"
FINE: Final = OK + b"Content-Length: 4\r\n\r\nfine"
FAILED: Final = (0, b"")


class Script(NamedTuple):
    """What the server sends for a request, in these parts, and whether it closes the connection behind it."""

    parts: Sequence[bytes]
    closes: bool


class Seen(NamedTuple):
    """What a client made of a script, and of the plain response to its next call."""

    first: tuple[int, bytes]
    second: tuple[int, bytes]
    connections: int


class Server:
    """Answers the first request by a script and all others plainly, whatever connection they come by."""

    def __init__(self, script: Script) -> None:
        self._scripts = iter([script])
        self.connections = 0
        self.is_idle = asyncio.Event()
        self.port = 0
        self._serving: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            is_open = True
            while is_open:
                await reader.readuntil(b"\r\n\r\n")
                script = next(self._scripts, Script([FINE], closes=False))
                for part in script.parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
                is_open = not script.closes
                self.is_idle.set()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        self.is_idle.set()
        self._serving.discard(task)

    async def close(self) -> None:
        for task in list(self._serving):
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)


@asynccontextmanager
async def server(script: Script) -> AsyncIterator[Server]:
    served = Server(script)
    listening = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.port = listening.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        listening.close()
        await served.close()


Call = Callable[[], Awaitable[tuple[int, bytes]]]


async def _twice(served: Server, call: Call) -> Seen:
    async with asyncio.timeout(WAIT_SECONDS):
        first = await call()
        await served.is_idle.wait()
        for _ in range(5):  # in which both clients take in what came behind the response: an end, perhaps
            await asyncio.sleep(0.001)
        return Seen(first, await call(), served.connections)


async def seen_by_ours(script: Script) -> Seen:
    async with server(script) as served:
        http = HttpClient(
            f"http://127.0.0.1:{served.port}",
            headers={},
            max_connections=4,
            connect_seconds=WAIT_SECONDS,
            lost_after_seconds=50,
        )

        async def call() -> tuple[int, bytes]:
            try:
                with await http.send("GET", "/", {}) as response:
                    return response.status, await response.read_all()
            except HttpError:
                return FAILED

        with closing(http):
            return await _twice(served, call)


async def seen_by_httpx(script: Script) -> Seen:
    async with server(script) as served:
        http = httpx.AsyncClient(verify=False, trust_env=False, timeout=WAIT_SECONDS)  # noqa: S501 - plain HTTP alone

        async def call() -> tuple[int, bytes]:
            try:
                async with http.stream("GET", f"http://127.0.0.1:{served.port}/") as response:
                    return response.status_code, b"".join([chunk async for chunk in response.aiter_raw()])
            except httpx.HTTPError:
                return FAILED

        async with http:
            return await _twice(served, call)


def parts_of(raw: bytes, cuts: set[int]) -> list[bytes]:
    at = sorted(cut for cut in cuts if cut < len(raw))
    return [raw[start:stop] for start, stop in zip([0, *at], [*at, len(raw)], strict=True)]


bodies = st.binary(max_size=200)
cuts = st.sets(st.integers(1, 400), max_size=8)


@st.composite
def chunked_bodies(draw: st.DrawFn) -> bytes:
    chunks = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
    extension = draw(st.sampled_from([b"", b";a=b", b';c="d"']))
    trailers = draw(st.sampled_from([b"", b"X-Sum: 1\r\n", b"X-A: 1\r\nX-Other:\r\n"]))
    sized = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    return sized + b"0\r\n" + trailers + b"\r\n"


@st.composite
def framed(draw: st.DrawFn) -> tuple[bytes, bool]:
    """Headers and body of a well-formed response, and whether its end is the connection's."""
    match draw(st.sampled_from(["length", "chunked", "close"])):
        case "length":
            body = draw(bodies)
            return b"Content-Length: %d\r\n\r\n%s" % (len(body), body), draw(st.booleans())
        case "chunked":
            return b"Transfer-Encoding: chunked\r\n\r\n" + draw(chunked_bodies()), draw(st.booleans())
    return b"\r\n" + draw(bodies), True


@st.composite
def responses(draw: st.DrawFn) -> tuple[bytes, bool]:
    """A well-formed response, informational ones before it, and whether the server closes behind it."""
    hints = draw(st.lists(st.sampled_from([100, 102, 103]), max_size=2))
    before = b"".join(b"HTTP/1.1 %d Hint\r\nLink: </a>\r\n\r\n" % status for status in hints)
    connection = draw(st.sampled_from([b"", b"Connection: keep-alive\r\n", b"Connection: close\r\n"]))
    other = draw(st.sampled_from([b"", b"X-Empty:\r\n", b"Date: today\r\nx-twice: 1\r\nX-Twice: 2\r\n"]))
    status = draw(st.sampled_from([200, 201, 204, 304, 404, 413, 429, 500, 503]))
    if status in {204, 304}:
        rest, closes = b"\r\n", draw(st.booleans())
    else:
        rest, closes = draw(framed())
    head = b"HTTP/1.1 %d Status\r\n%s%s" % (status, connection, other)
    return before + head + rest, closes or connection == b"Connection: close\r\n"


unhurried = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.asyncio(loop_factories=["asyncio"])  # Hypothesis wants one only
class TestEqual:
    @given(response=responses(), cuts=cuts)
    @unhurried
    async def test_a_well_formed_response_reads_the_same(self, response: tuple[bytes, bool], cuts: set[int]) -> None:
        script = Script(parts_of(response[0], cuts), response[1])
        ours = await seen_by_ours(script)
        assert ours == await seen_by_httpx(script)
        assert ours.first[0] >= 200
        assert ours.second == (200, b"fine")

    @given(response=responses(), share=st.floats(0, 1, exclude_max=True), cuts=cuts)
    @unhurried
    async def test_a_response_that_breaks_off_is_broken_for_both(
        self, response: tuple[bytes, bool], share: float, cuts: set[int]
    ) -> None:
        raw = response[0][: int(len(response[0]) * share)]
        script = Script(parts_of(raw, cuts), closes=True)
        ours, theirs = await seen_by_ours(script), await seen_by_httpx(script)
        assert ours.first == theirs.first
        assert ours.second == theirs.second == (200, b"fine")

    @given(response=responses(), share=st.floats(0, 1, exclude_max=True), byte=st.binary(max_size=2), cuts=cuts)
    @example(response=(FINE, False), share=0.0, byte=b"", cuts=set())
    @unhurried
    async def test_a_damaged_response_is_never_two_different_ones(
        self, response: tuple[bytes, bool], share: float, byte: bytes, cuts: set[int]
    ) -> None:
        raw, at = response[0], int(len(response[0]) * share)
        script = Script(parts_of(raw[:at] + byte + raw[at + 1 :], cuts), closes=True)
        ours, theirs = await seen_by_ours(script), await seen_by_httpx(script)
        # One may be the stricter. Where both take it for a response, it is the same.
        assert FAILED in (ours.first, theirs.first) or ours.first == theirs.first
        assert ours.second == (200, b"fine")


# A response, whether the connection ends behind it, and what both make of it.
SAME: Final = {
    "nothing": (b"", True, FAILED),
    "half a head": (OK + b"Content-Le", True, FAILED),
    "only hints": (b"HTTP/1.1 103 Hints\r\n\r\n", True, FAILED),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", True, FAILED),
    "TLS": (b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n", True, FAILED),
    "two lengths": (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", True, FAILED),
    "negative length": (OK + b"Content-Length: -1\r\n\r\n", True, FAILED),
    "signed length": (OK + b"Content-Length: +1\r\n\r\na", True, FAILED),
    "length in words": (OK + b"Content-Length: one\r\n\r\na", True, FAILED),
    "empty length": (OK + b"Content-Length:\r\n\r\n", True, FAILED),
    "length too long": (OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\na", True, FAILED),
    "length above the body": (OK + b"Content-Length: 9\r\n\r\nhalf", True, FAILED),
    "no last chunk": (CHUNKED + b"4\r\nhalf\r\n", True, FAILED),
    "no chunk size": (CHUNKED + b"xyz\r\n", True, FAILED),
    "negative chunk size": (CHUNKED + b"-1\r\nx\r\n0\r\n\r\n", True, FAILED),
    "chunk without end": (CHUNKED + b"4\r\nhalflong\r\n0\r\n\r\n", True, FAILED),
    "transfer compressed": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", True, FAILED),
    "space before colon": (OK + b"Content-Length : 0\r\n\r\n", True, FAILED),
    "status too long": (b"HTTP/1.1 2000 OK\r\n\r\n", True, FAILED),
    "capitals": (OK + b"TRANSFER-ENCODING: Chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", False, (200, b"x")),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", False, (200, b"x")),
    "old": (b"HTTP/1.0 200 OK\r\n\r\nto the end", True, (200, b"to the end")),
    "old, length": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", True, (200, b"x")),
    "old, chunks": (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", True, (200, b"x")),
    "unheard-of": (b"HTTP/1.1 799 Eh\r\nContent-Length: 0\r\n\r\n", False, (799, b"")),
    "offered another protocol": (
        OK + b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\nx",
        False,
        (200, b"x"),
    ),
    "no status": (b"HTTP/1.1 000 Odd\r\nContent-Length: 4\r\n\r\nevil", True, FAILED),
    "switched": (b"HTTP/1.1 101 So\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", True, FAILED),
    "hexadecimal prefix": (CHUNKED + b"0x1\r\nx\r\n0\r\n\r\n", True, FAILED),
    "header without name": (OK + b": x\r\nContent-Length: 0\r\n\r\n", True, FAILED),
    "header without colon": (OK + b"Header\r\nContent-Length: 0\r\n\r\n", True, FAILED),
    "NUL in a header": (OK + b"A: \x00\r\nContent-Length: 0\r\n\r\n", True, FAILED),
}

# Where they differ: a response, whether the connection ends behind it, what ours makes of it and what httpx does.
STRICTER: Final = {
    "equal lengths": (OK + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na", True, FAILED, (200, b"a")),
    "list of lengths": (OK + b"Content-Length: 1, 1\r\n\r\na", True, FAILED, (200, b"a")),
    "length and chunks": (
        OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        True,
        FAILED,
        (200, b""),
    ),
    "length as a trailer": (CHUNKED + b"0\r\nContent-Length: 9\r\n\r\n", True, FAILED, (200, b"")),
    "folded": (OK + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n", True, FAILED, (200, b"")),
    "line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", True, FAILED, (200, b"")),
    "space behind a chunk's size": (CHUNKED + b"1 \r\nx\r\n0\r\n\r\n", True, FAILED, (200, b"x")),
    "compressed": (OK + b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", True, FAILED, (200, b"x")),
    "too many headers": (
        OK + b"X-Header: value\r\n" * 6_000 + b"Content-Length: 1\r\n\r\nx",
        True,
        FAILED,
        (200, b"x"),
    ),
}
# What follows a complete response, and what httpx takes it for in its next call. Ours begins that on a new connection.
BEHIND: Final = {
    "another response": (OK + b"Content-Length: 4\r\n\r\nevil", (200, b"evil")),
    "an informational one": (b"HTTP/1.1 100 Continue\r\n\r\n", (200, b"fine")),
    "garbage": (b"garbage", FAILED),
}


@pytest.mark.parametrize("name", STRICTER)
async def test_ours_is_the_stricter(name: str) -> None:
    raw, closes, first, theirs_first = STRICTER[name]
    ours, theirs = await seen_by_ours(Script([raw], closes)), await seen_by_httpx(Script([raw], closes))
    assert (ours.first, theirs.first) == (first, theirs_first)
    assert ours.second == (200, b"fine")


@pytest.mark.parametrize("name", BEHIND)
async def test_what_follows_a_response_is_never_the_next(name: str) -> None:
    behind, theirs_second = BEHIND[name]
    script = Script([FINE + behind], closes=False)
    assert await seen_by_ours(script) == Seen((200, b"fine"), (200, b"fine"), connections=2)
    assert await seen_by_httpx(script) == Seen((200, b"fine"), theirs_second, connections=1)


@pytest.mark.parametrize("name", SAME)
async def test_odd_responses_are_the_same_for_both(name: str) -> None:
    raw, closes, expected = SAME[name]
    script = Script([raw], closes)
    ours, theirs = await seen_by_ours(script), await seen_by_httpx(script)
    assert (ours.first, theirs.first) == (expected, expected)
    assert ours.second == theirs.second == (200, b"fine")
