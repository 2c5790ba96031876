"""Calls to one place, over sockets: keeping connections, TLS, proxies, slots, and what goes wrong on the way."""

import asyncio
import base64
import random
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing, suppress
from typing import Any, Final

import pytest
import trustme

from b2b_chat.kit.http.client import HttpClient
from b2b_chat.kit.http.errors import AnswerBroken, CannotConnect, ConnectTimeout, HttpError, NoAnswer
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
    defaults = {"headers": {}, "max_connections": 4, "connect_seconds": WAIT_SECONDS}
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


class TestRequest:
    async def test_it_goes_out_as_it_was_given(self) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served), headers={"Authorization": "Bearer x"})) as http:
                assert await call(http, "/v1/chat?a=b%20c", {"X-Id": "1"}, b"\x00body") == (200, b"fine")
            (sent,) = served.calls
            assert sent.line == "POST /v1/chat?a=b%20c HTTP/1.1"
            assert sent.headers == {
                "host": f"127.0.0.1:{served.port}",
                "accept-encoding": "identity",
                "authorization": "bearer x",
                "x-id": "1",
                "content-length": "5",
            }
            assert sent.body == b"\x00body"

    @pytest.mark.parametrize("url_host", ["localhost", "LOCALHOST"])
    async def test_the_host_is_named_as_its_url_names_it(self, url_host: str) -> None:
        async with place(fine) as served:
            with closing(client_of(f"http://who:secret@{url_host}:{served.port}/path")) as http:
                assert await call(http) == (200, b"fine")
            assert f"Host: {url_host}:{served.port}\r\n".encode() in served.calls[0].raw_head
            assert b"secret" not in served.calls[0].raw_head

    async def test_a_host_can_be_an_ipv6_address(self) -> None:
        async with place(fine, host="::1") as served:
            with closing(client_of(url_of(served, host="[::1]"))) as http:
                assert await call(http) == (200, b"fine")
            assert served.calls[0].headers["host"] == f"[::1]:{served.port}"

    @pytest.mark.parametrize(
        "headers",
        [
            {"X": "1\r\nY: 2"},
            {"X": "1\n"},
            {"X": "\r"},
            {"X\r\nY": "1"},
            {"X": "1\r\n\r\nGET / HTTP/1.1"},
            {"X": "\u20ac"},
        ],
    )
    async def test_a_header_that_would_be_two_is_not_sent(self, headers: dict[str, str]) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served), max_connections=1)) as http:
                for _ in range(2):
                    with pytest.raises(ValueError, match=r"line's end|latin-1"):
                        await call(http, headers=headers)
                assert await call(http) == (200, b"fine")
            assert len(served.calls) == 1

    def test_a_header_of_every_call_that_would_be_two_is_refused(self) -> None:
        with pytest.raises(ValueError, match="line's end"):
            client_of("http://127.0.0.1", headers={"X": "1\r\nY: 2"})

    @pytest.mark.parametrize(
        "target", ["/ HTTP/1.1\r\nX: 1\r\n\r\n", "/a b", "/a\tb", "/a\n", "/\x00", "/\xe9", "/\u20ac", "/\x7f"]
    )
    async def test_a_target_that_would_end_its_line_is_not_sent(self, target: str) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served), max_connections=1)) as http:
                with pytest.raises(ValueError, match="does not fit"):
                    await call(http, target)
                assert await call(http) == (200, b"fine")
            assert len(served.calls) == 1


class TestKeeping:
    async def test_calls_one_after_the_other_share_a_connection(self) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served))) as http:
                for _ in range(5):
                    assert await call(http, body=b"x") == (200, b"fine")
            assert served.connections == 1

    async def test_calls_at_once_have_one_each(self) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served))) as http:
                assert await asyncio.gather(*[call(http) for _ in range(3)]) == [(200, b"fine")] * 3
                assert served.connections == 3
                await call(http)
            assert served.connections == 3

    async def test_what_was_idle_for_long_is_not_used(self) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served), max_idle_seconds=0)) as http:
                await call(http)
                await call(http)
                assert [sent.connection for sent in served.calls] == [1, 2]

    async def test_the_connections_of_a_burst_are_closed_when_their_time_is_over(self) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served), max_connections=8, max_idle_seconds=0.2)) as http:
                await asyncio.gather(*[call(http) for _ in range(8)])
                assert len(served.open) == 8
                await becomes(lambda: not served.open)
                assert http._idle == []
                assert await call(http) == (200, b"fine")  # and the client does not take their end for its own
                await becomes(lambda: not served.open)

    async def test_a_connection_in_use_outlives_the_idle_ones(self) -> None:
        may_end = asyncio.Event()

        async def answer(sent: Call) -> None:
            await sent.send(OK + b"Content-Length: 4\r\n\r\n")
            if sent.line.startswith("POST /slow"):
                await may_end.wait()
            await sent.send(b"fine")

        async with place(answer) as served:
            with closing(client_of(url_of(served), max_idle_seconds=0.1)) as http:
                slow = asyncio.create_task(call(http, "/slow"))
                await asyncio.gather(call(http), call(http))
                await becomes(lambda: len(served.open) == 1)
                may_end.set()
                assert await slow == (200, b"fine")

    async def test_a_closed_client_reaps_nothing_more(self) -> None:
        async with place(fine) as served:
            http = client_of(url_of(served))
            await call(http)
            reaping = http._reaping
            assert reaping is not None
            http.close()
            assert reaping.cancelled()

    async def test_what_the_place_has_closed_is_not_used(self) -> None:
        async with place(sending(FINE, then=Call.hang_up)) as served:
            with closing(client_of(url_of(served))) as http:
                await call(http)
                await becomes(lambda: not http._idle or not http._idle[0].is_usable)
                await call(http)
            assert [sent.connection for sent in served.calls] == [1, 2]

    async def test_what_the_place_closes_as_it_is_used_gives_no_answer(self) -> None:
        async def first_only(sent: Call) -> None:
            if sent.connection == 1 and len(served.calls) > 1:
                sent.reset()
            else:
                await sent.send(FINE)

        async with place(first_only) as served:
            with closing(client_of(url_of(served), max_connections=1)) as http:
                await call(http)
                with pytest.raises(NoAnswer):
                    await call(http)
                assert await call(http) == (200, b"fine")
            assert [sent.connection for sent in served.calls] == [1, 1, 2]

    async def test_an_end_that_was_not_seen_yet_gives_no_answer(self) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served), max_connections=1)) as http:
                await call(http)
                served.calls[0].reset()  # which the loop reports only after this call was written
                with pytest.raises(NoAnswer):
                    await call(http)
                assert await call(http) == (200, b"fine")

    @pytest.mark.parametrize("behind", [OK + b"Content-Length: 4\r\n\r\nevil", b"garbage", b"\r\n"])
    async def test_what_comes_behind_an_answer_is_not_the_next(self, behind: bytes) -> None:
        late = asyncio.Event()

        async def answer(sent: Call) -> None:
            await sent.send(FINE)
            if sent.connection == 1:
                await late.wait()
                await sent.send(behind)

        async with place(answer) as served:
            with closing(client_of(url_of(served))) as http:
                assert await call(http) == (200, b"fine")
                late.set()
                await becomes(lambda: not http._idle[0].is_usable)
                assert await call(http) == (200, b"fine")
            assert served.connections == 2

    async def test_an_answer_before_the_body_was_taken_is_heard(self) -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            while await reader.read(65_536):
                pass

        async with raw_place(refuse) as port:
            with closing(client_of(f"http://127.0.0.1:{port}")) as http:
                assert await call(http, body=b"x" * 30_000_000) == (413, b"")
                assert not http._busy


class TestSlots:
    async def test_more_calls_than_connections_wait(self) -> None:
        at_once = most = 0

        async def slow(sent: Call) -> None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.002)
            at_once -= 1
            await sent.send(FINE)

        async with place(slow) as served:
            with closing(client_of(url_of(served), max_connections=3)) as http:
                assert await asyncio.gather(*[call(http) for _ in range(30)]) == [(200, b"fine")] * 30
                assert free_slots(http) == 3
            assert (most, served.connections) == (3, 3)

    async def test_a_cancelled_wait_takes_no_slot(self) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served), max_connections=1)) as http:
                held = await http.send("GET", "/", {})
                waiting = [asyncio.create_task(call(http)) for _ in range(10)]
                await asyncio.sleep(0)
                for task in waiting[::2]:
                    task.cancel()
                await asyncio.sleep(0)
                held.close()
                waiting[1].cancel()  # to whom the slot was just given
                await asyncio.wait(waiting)
                assert [task.cancelled() for task in waiting] == [True, True] + [True, False] * 4
                assert free_slots(http) == 1

    @pytest.mark.parametrize("close_first", [True, False])
    async def test_a_call_that_fails_gives_its_slot_back(self, *, close_first: bool) -> None:
        async with place(sending(OK, then=Call.hang_up) if close_first else sending(b"garbage")) as served:
            with closing(client_of(url_of(served), max_connections=1)) as http:
                for _ in range(5):
                    with pytest.raises(HttpError):
                        await call(http)
                assert (free_slots(http), http._busy, http._idle) == (1, set(), [])

    async def test_cancelled_calls_leave_nothing_behind(self) -> None:
        await self._cancel_many()

    async def test_cancelled_calls_over_tls_leave_nothing_behind(self, authority: trustme.CA) -> None:
        await self._cancel_many(authority, calls=600)

    async def _cancel_many(self, authority: trustme.CA | None = None, calls: int = 3_000) -> None:
        """Cancel calls at random moments, from before they have a slot until they have read half of their answer."""
        seed = random.randrange(2**32)
        print(f"seed {seed}")  # noqa: T201 - shown when the test fails
        rng = random.Random(seed)

        async def answer(sent: Call) -> None:
            for part in (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"4\r\nfine\r\n", b"0\r\n\r\n"):
                if rng.random() < 0.3:
                    await asyncio.sleep(rng.random() * 0.002)
                await sent.send(part)
            if rng.random() < 0.05:
                sent.hang_up()

        before = len(asyncio.all_tasks())
        options = tls_of(authority, "localhost") if authority else (None, None)
        async with place(answer, tls=options[0]) as served:
            url = url_of(served, scheme="https" if authority else "http", host="localhost")
            with closing(client_of(url, max_connections=8, tls=options[1])) as http:
                running: set[asyncio.Task[Any]] = set()
                for _ in range(calls):
                    task = asyncio.create_task(call(http, body=b"x" * rng.randrange(100)))
                    running.add(task)
                    task.add_done_callback(running.discard)
                    asyncio.get_running_loop().call_later(rng.random() * 0.006, task.cancel)
                    if len(running) > 24:
                        await asyncio.sleep(rng.random() * 0.002)
                while running:
                    await asyncio.wait(running)
                assert free_slots(http) == 8
                assert not http._busy
                assert len(http._idle) <= 8
                kept = sum(connection.is_usable for connection in http._idle)
                await becomes(lambda: len(served.open) <= kept)
                for _ in range(20):
                    with suppress(NoAnswer):
                        assert await call(http) == (200, b"fine")
                assert await asyncio.gather(*[call(http) for _ in range(20)], return_exceptions=True)
            await becomes(lambda: not served.open)
        await becomes(lambda: len(asyncio.all_tasks()) <= before)


class TestClosing:
    async def test_it_ends_idle_connections(self) -> None:
        async with place(fine) as served:
            http = client_of(url_of(served))
            await asyncio.gather(*[call(http) for _ in range(3)])
            assert len(served.open) == 3
            http.close()
            await becomes(lambda: not served.open)

    @pytest.mark.parametrize("head", [b"", OK + b"\r\n", OK + b"Content-Length: 9\r\n\r\n"])
    async def test_it_ends_calls_mid_answer(self, head: bytes) -> None:
        async with place(sending(head, b"half" if head else b"")) as served:
            http = client_of(url_of(served))
            calling = asyncio.create_task(call(http))
            await becomes(lambda: served.calls and http._busy)
            await asyncio.sleep(0.02)
            http.close()
            with pytest.raises(AnswerBroken if head else NoAnswer):
                await calling
            assert free_slots(http) == 4
            await becomes(lambda: not served.open)

    async def test_it_ends_calls_that_wait_or_connect_too(self) -> None:
        async with place(never) as served:
            http = client_of(url_of(served, host="localhost"), max_connections=1)
            calls = [asyncio.create_task(call(http)) for _ in range(3)]
            await asyncio.sleep(0)
            http.close()
            for calling in calls:
                with pytest.raises(NoAnswer):
                    await calling
            with pytest.raises(NoAnswer):
                await call(http)
            assert (free_slots(http), http._busy, http._idle) == (1, set(), [])
            await becomes(lambda: not served.open)

    async def test_it_can_be_done_twice_and_before_any_call(self) -> None:
        http = client_of("http://127.0.0.1:1")
        http.close()
        http.close()


class TestConnecting:
    async def test_a_refused_port_is_no_connection(self) -> None:
        with closing(client_of(f"http://127.0.0.1:{unused_port()}", max_connections=1)) as http:
            for _ in range(3):
                with pytest.raises(CannotConnect) as caught:
                    await call(http)
                assert not isinstance(caught.value, ConnectTimeout)
            assert free_slots(http) == 1

    @pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".invalid", "a..b"])
    async def test_an_unknown_name_is_no_connection(self, host: str) -> None:
        with closing(client_of(f"http://{host}", max_connections=1)) as http:
            with pytest.raises(CannotConnect):
                await call(http)
            assert free_slots(http) == 1

    async def test_another_address_is_tried_where_one_refuses(self) -> None:
        async with place(fine) as served:  # and nothing listens on ::1
            with closing(client_of(url_of(served, host="localhost"))) as http:
                assert await call(http) == (200, b"fine")

    async def test_a_tls_handshake_that_takes_too_long_times_out(self) -> None:
        async with place(never) as served:
            with closing(client_of(url_of(served, scheme="https"), connect_seconds=0.1, max_connections=1)) as http:
                with pytest.raises(ConnectTimeout):
                    await call(http)
                assert free_slots(http) == 1
            await becomes(lambda: not served.open)

    async def test_a_failed_tls_handshake_is_a_failed_connection(self) -> None:
        async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 hello\r\n" * 9)

        async with raw_place(greet) as port:
            with closing(client_of(f"https://127.0.0.1:{port}")) as http, pytest.raises(CannotConnect):
                await call(http)

    @pytest.mark.parametrize(
        "greeting", [b"", b"220 mail.example.com ESMTP\r\n", OK + b"Content-Length: 4\r\n\r\nevil"]
    )
    async def test_an_early_answer_or_close_gives_no_wrong_answer_and_no_wait(self, greeting: bytes) -> None:
        async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(greeting)

        async with raw_place(greet) as port:
            with closing(client_of(f"http://127.0.0.1:{port}", max_connections=1)) as http:
                for _ in range(20):
                    # What comes after the request was written can be an answer to it, for all we know.
                    with suppress(HttpError):
                        assert await call(http) == (200, b"evil")
                assert free_slots(http) == 1


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_of(authority: trustme.CA, *names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS contexts for a server of these names, and for clients that trust its authority."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


class TestTls:
    @pytest.mark.parametrize(
        ("host", "listens"), [("localhost", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")]
    )
    async def test_calls_share_a_connection(self, authority: trustme.CA, host: str, listens: str) -> None:
        server, client = tls_of(authority, host.strip("[]"))
        async with place(fine, host=listens, tls=server) as served:
            with closing(client_of(url_of(served, scheme="https", host=host), tls=client)) as http:
                for _ in range(3):
                    assert await call(http, body=b"x" * 300_000) == (200, b"fine")
            assert served.connections == 1

    @pytest.mark.parametrize("wrong", ["name", "authority"])
    async def test_another_ones_certificate_is_no_connection(self, authority: trustme.CA, wrong: str) -> None:
        server, client = tls_of(authority, "elsewhere.example" if wrong == "name" else "localhost")
        trusts = {"tls": client} if wrong == "name" else {}
        async with place(fine, tls=server) as served:
            with closing(
                client_of(url_of(served, scheme="https", host="localhost"), max_connections=1, **trusts)
            ) as http:
                for _ in range(2):
                    with pytest.raises(CannotConnect) as caught:
                        await call(http)
                    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
                assert free_slots(http) == 1
            assert not served.calls

    async def test_a_slow_reader_gets_it_all(self, authority: trustme.CA) -> None:
        server, client = tls_of(authority, "localhost")
        body = bytes(range(256)) * 8_000
        async with place(sending(OK + b"Content-Length: %d\r\n\r\n" % len(body), body), tls=server) as served:
            with closing(client_of(url_of(served, scheme="https", host="localhost"), tls=client)) as http:
                with await http.send("GET", "/", {}) as response:
                    await becomes(lambda: next(iter(http._busy))._is_paused)
                    assert await read_all(response) == body
                assert await call(http) == (200, body)
            assert served.connections == 1

    async def test_a_body_without_length_is_whole_when_the_place_says_goodbye(self, authority: trustme.CA) -> None:
        server, client = tls_of(authority, "localhost")
        async with place(sending(OK + b"\r\nall of it", then=Call.hang_up), tls=server) as served:
            with closing(client_of(url_of(served, scheme="https", host="localhost"), tls=client)) as http:
                assert await call(http) == (200, b"all of it")


ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"
ESTABLISHED_OTHERWISE: Final = b"HTTP/1.1 204 So\r\nX-Via: me\r\n\r\n"


class Proxy:
    """A proxy on a raw socket: it answers as the test orders, and forwards what it accepts."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.heads: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        writer.write(self.answer)
        if self.answer in {ESTABLISHED, ESTABLISHED_OTHERWISE}:
            host, _, port = head.split()[1].decode().rpartition(":")
            there, onwards = await asyncio.open_connection(host.strip("[]"), int(port))
            await asyncio.gather(_pass_on(reader, onwards), _pass_on(there, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def proxy(answer: bytes) -> AsyncIterator[Proxy]:
    served = Proxy(answer)
    async with raw_place(served.serve) as served.port:
        yield served


def basic(pair: str) -> str:
    return f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n"


class TestProxy:
    @pytest.mark.parametrize(
        ("host", "listens", "named"),
        [("localhost", "127.0.0.1", "localhost"), ("127.0.0.1", "127.0.0.1", "127.0.0.1"), ("[::1]", "::1", "[::1]")],
    )
    async def test_tls_goes_through_a_tunnel(self, authority: trustme.CA, host: str, listens: str, named: str) -> None:
        server, client = tls_of(authority, host.strip("[]"))
        async with place(fine, host=listens, tls=server) as served, proxy(ESTABLISHED) as via:
            url, through = url_of(served, scheme="https", host=host), f"http://me:p%40ss@127.0.0.1:{via.port}"
            with closing(client_of(url, headers={"X-Secret": "s"}, tls=client, proxy=through)) as http:
                for _ in range(2):
                    assert await call(http) == (200, b"fine")
            named = f"{named}:{served.port}"
            assert via.heads == [f"CONNECT {named} HTTP/1.1\r\nHost: {named}\r\n{basic('me:p@ss')}\r\n".encode()]
            assert served.calls[0].line == "POST / HTTP/1.1"
            assert "proxy-authorization" not in served.calls[0].headers
            assert served.connections == 1

    @pytest.mark.parametrize("scheme", ["http://", ""])
    async def test_a_tunnel_needs_no_password(self, authority: trustme.CA, scheme: str) -> None:
        server, client = tls_of(authority, "localhost")
        async with place(fine, tls=server) as served, proxy(ESTABLISHED_OTHERWISE) as via:
            url = url_of(served, scheme="https", host="localhost")
            with closing(client_of(url, tls=client, proxy=f"{scheme}127.0.0.1:{via.port}")) as http:
                assert await call(http) == (200, b"fine")
            assert b"Proxy-Authorization" not in via.heads[0]

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 403 for 200 reasons\r\n\r\n",
            b"HTTP/1.1 502\r\n\r\n",
            b"HTTP/1.1 200 Connection",
            b"SSH-2.0-OpenSSH 200 \r\n\r\n",
            b"",
            b"HTTP/1.1 200 OK\r\n" + b"X-Header: value\r\n" * 2_000,
        ],
    )
    async def test_a_proxy_that_refuses_is_no_connection(self, answer: bytes) -> None:
        async with proxy(answer) as via:
            through = f"http://127.0.0.1:{via.port}"
            with closing(client_of("https://localhost:1", max_connections=1, proxy=through)) as http:
                for _ in range(2):
                    with pytest.raises(CannotConnect):
                        await call(http)
                assert free_slots(http) == 1

    async def test_a_silent_proxy_times_out(self) -> None:
        async with place(never) as via:
            http = client_of("https://localhost:1", connect_seconds=0.1, proxy=url_of(via))
            with closing(http), pytest.raises(ConnectTimeout):
                await call(http)
            await becomes(lambda: not via.open)

    async def test_plain_calls_are_forwarded(self) -> None:
        async with place(fine) as via:
            through = f"http://me:secret@127.0.0.1:{via.port}"
            with closing(client_of("http://user:word@far.example:81/x", proxy=through)) as http:
                for _ in range(2):
                    assert await call(http, "/v1?a=b") == (200, b"fine")
            sent = via.calls[0]
            assert sent.line == "POST http://far.example:81/v1?a=b HTTP/1.1"
            assert sent.headers["host"] == "far.example:81"
            assert basic("me:secret").encode() in sent.raw_head
            assert via.connections == 1

    async def test_plain_calls_to_an_ipv6_address_are_forwarded(self) -> None:
        async with place(fine, host="::1") as via:
            with closing(client_of("http://[2001:db8::1]/", proxy=url_of(via, host="[::1]"))) as http:
                assert await call(http, "/v1") == (200, b"fine")
            assert via.calls[0].line == "POST http://[2001:db8::1]/v1 HTTP/1.1"
            assert via.calls[0].headers["host"] == "[2001:db8::1]"
            assert "proxy-authorization" not in via.calls[0].headers

    @pytest.mark.parametrize(
        "url", ["https://proxy.example:3128", "socks5://proxy.example:1080", "https://me:pass@proxy"]
    )
    def test_a_proxy_that_speaks_otherwise_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match="http://") as caught:
            client_of("https://localhost", proxy=url)
        assert "pass" not in str(caught.value)
