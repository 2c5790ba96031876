"""Calls to one server over sockets: what goes out, and connections that are kept."""

import asyncio
from contextlib import closing

import pytest

from b2b_chat.kit.http.errors import NoAnswer
from support.http.peer import (
    FINE,
    OK,
    Call,
    becomes,
    call,
    client_of,
    fine,
    place,
    raw_place,
    sending,
    url_of,
)


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
