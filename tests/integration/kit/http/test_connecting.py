"""Connecting to the server: names, addresses, TLS and proxies."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Final

import pytest
import trustme

from b2b_chat.kit.http.errors import CannotConnect, ConnectTimeout, HttpError
from support.http.peer import (
    OK,
    Call,
    becomes,
    call,
    client_of,
    fine,
    free_slots,
    never,
    place,
    raw_place,
    read_all,
    sending,
    tls_of,
    unused_port,
    url_of,
)

ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"
ESTABLISHED_OTHERWISE: Final = b"HTTP/1.1 204 So\r\nX-Via: me\r\n\r\n"


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
