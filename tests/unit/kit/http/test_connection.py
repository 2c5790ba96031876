"""One connection over a pair of sockets; its other end sends exactly the bytes that a test dictates."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2b_chat.kit.http.connection import Connection
from b2b_chat.kit.http.errors import AnswerBroken, AnswerTooLarge, HttpError, NoAnswer, NotHttp
from b2b_chat.kit.http.response import Response

REQUEST: Final = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
OK: Final = b"HTTP/1.1 200 OK\r\n"
CHUNKED: Final = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SHORT: Final = OK + b"Content-Length: 5\r\n\r\nshort"
EVIL: Final = OK + b"Content-Length: 4\r\n\r\nevil"
WAIT_SECONDS: Final = 10
MORE_THAN_IS_READ_AHEAD: Final = 4_000_000


async def turn() -> None:
    """Let the loop process what is ready, and wake its waiters."""
    for _ in range(5):
        await asyncio.sleep(0)


async def becomes(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110 - the transport sends no signal
            await asyncio.sleep(0)


class Line:
    """A connection and its other end."""

    def __init__(self, other: socket.socket) -> None:
        self.connection = Connection()
        self.other = other
        self.closed = 0
        """How many answers are abandoned."""

    async def sends(self, *parts: bytes) -> None:
        loop = asyncio.get_running_loop()
        for part in parts:
            # The connection may have hung up already.
            with suppress(BrokenPipeError, ConnectionResetError):
                await loop.sock_sendall(self.other, part)
            await turn()

    async def hears(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.other, 65_536)

    async def ask(self, request: bytes = REQUEST) -> Response:
        async with asyncio.timeout(WAIT_SECONDS):
            return await self.connection.ask(request, self._count)

    async def ask_and_get(self, *parts: bytes, ends: bool = False) -> Response:
        """Ask, and be sent these parts when it was asked."""
        asking = asyncio.create_task(self.ask())
        await self.hears()
        await self.sends(*parts)
        if ends:
            self.other.close()
        return await asking

    def _count(self, connection: Connection) -> None:
        assert connection is self.connection
        self.closed += 1


@asynccontextmanager
async def connected() -> AsyncIterator[Line]:
    ours, other = socket.socketpair()
    ours.setblocking(False)  # noqa: FBT003 - its only argument
    other.setblocking(False)  # noqa: FBT003 - as above
    line = Line(other)
    async with asyncio.timeout(2 * WAIT_SECONDS):  # nothing here may wait for ever
        with other:
            await asyncio.get_running_loop().create_unix_connection(lambda: line.connection.protocol, sock=ours)
            yield line
            line.connection.close()
            await turn()


async def read_all(response: Response) -> bytes:
    async with asyncio.timeout(WAIT_SECONDS):
        body = b""
        while piece := await response.read():
            body += piece
        assert response.is_read
        return body


def bytewise(raw: bytes) -> list[bytes]:
    return [raw[at : at + 1] for at in range(len(raw))]


# An answer; whether the connection ends behind it; what it says; whether another call can be made.
ANSWERS: Final = {
    "length": (SHORT, False, (200, b"short"), True),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", False, (200, b""), True),
    "error": (b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno", False, (503, b"no"), True),
    "unheard-of": (b"HTTP/1.1 799 Eh\r\nContent-Length: 0\r\n\r\n", False, (799, b""), True),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", False, (200, b"x"), True),
    "chunks": (CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", False, (200, b"abcde"), True),
    "extensions": (CHUNKED + b'3;a=b;c="d;e"\r\nabc\r\n0;last\r\n\r\n', False, (200, b"abc"), True),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\nX-Sum: 1\r\nX-Other:\r\n\r\n", False, (200, b"x"), True),
    "capitals": (
        OK + b"TRANSFER-ENCODING: Chunked\r\nCONTENT-encoding: Identity\r\n\r\n0\r\n\r\n",
        False,
        (200, b""),
        True,
    ),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", False, (204, b""), True),
    "304": (b"HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n", False, (304, b""), True),
    "continue": (b"HTTP/1.1 100 Continue\r\n\r\n" + SHORT, False, (200, b"short"), True),
    "hints": (b"HTTP/1.1 103 Hints\r\nContent-Length: 9\r\nLink: x\r\n\r\n" * 3 + SHORT, False, (200, b"short"), True),
    "close": (OK + b"Connection: close\r\nContent-Length: 1\r\n\r\nx", False, (200, b"x"), False),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", False, (200, b"x"), False),
    "old, kept": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", False, (200, b"x"), True),
    "old, chunks": (
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        False,
        (200, b"x"),
        False,
    ),
    "no length": (OK + b"\r\nto the end", True, (200, b"to the end"), False),
    "old, no length": (b"HTTP/1.0 200 OK\r\n\r\nto the end", True, (200, b"to the end"), False),
    "no length, nothing": (OK + b"\r\n", True, (200, b""), False),
    "ends with it": (SHORT, True, (200, b"short"), False),
    "empty lines before": (b"\r\n\r\n" + SHORT, False, (200, b"short"), True),
    "empty lines behind": (SHORT + b"\r\n\r\n", False, (200, b"short"), True),
}


class TestAnswer:
    @pytest.mark.parametrize("name", ANSWERS)
    @pytest.mark.parametrize("cut", [lambda raw: [raw], bytewise], ids=["whole", "bytewise"])
    async def test_it_reads_as_it_was_sent(self, name: str, cut: Callable[[bytes], list[bytes]]) -> None:
        raw, ends, said, _ = ANSWERS[name]
        async with connected() as line:
            with await line.ask_and_get(*cut(raw), ends=ends) as response:
                assert (response.status, await read_all(response)) == said
                assert await response.read() == b""
            assert line.closed == 1

    @pytest.mark.parametrize("name", ANSWERS)
    async def test_another_call_follows_where_one_can(self, name: str) -> None:
        raw, ends, _, is_kept = ANSWERS[name]
        async with connected() as line:
            with await line.ask_and_get(raw, ends=ends) as response:
                await read_all(response)
            if not is_kept:
                await becomes(lambda: not line.connection.is_usable)
            else:
                with await line.ask_and_get(SHORT) as response:
                    assert (response.status, await read_all(response)) == (200, b"short")
                assert line.connection.is_usable
                assert line.closed == 2

    async def test_headers_are_found_by_lower_case_names(self) -> None:
        raw = (
            OK
            + b"X-Empty:\r\nX-Name:  a value \r\nX-Twice: 1\r\nx-twice: 2\r\nX-Latin: \xe9\r\nContent-Length: 0\r\n\r\n"
        )
        async with connected() as line:
            with await line.ask_and_get(raw) as response:
                assert response.headers["x-empty"] == ""
                assert response.headers["x-name"].strip() == "a value"
                assert response.headers["x-twice"] == "2"
                assert response.headers["x-latin"] == "\xe9"

    async def test_what_was_said_before_the_answer_is_not_its_head(self) -> None:
        async with connected() as line:
            with await line.ask_and_get(
                b"HTTP/1.1 103 Hints\r\nLink: x\r\nContent-Encoding: br\r\n\r\n" + SHORT
            ) as response:
                assert response.headers == {"content-length": "5"}

    async def test_what_follows_the_body_is_not_its_head(self) -> None:
        end = b"0\r\nContent-Type: text/evil\r\nRetry-After: 9\r\nTransfer-Encoding: x\r\n\r\n"
        async with connected() as line:
            with await line.ask_and_get(CHUNKED, end) as response:
                assert await read_all(response) == b""
                assert response.headers == {"transfer-encoding": "chunked"}

    async def test_its_head_is_here_before_its_body(self) -> None:
        async with connected() as line:
            with await line.ask_and_get(CHUNKED) as response:
                assert response.status == 200
                assert not response.is_complete
                reading = asyncio.create_task(response.read())
                await turn()
                assert not reading.done()
                await line.sends(b"2\r\nab\r\n")
                assert await reading == b"ab"
                await line.sends(b"2\r\ncd\r\n", b"2\r\nef\r\n0\r\n\r\n")
                assert response.is_complete
                assert not response.is_read
                assert response.read_ready() == b"cdef"
                assert response.is_read
                assert response.read_ready() == b""

    @pytest.mark.asyncio(loop_factories=["uvloop"])  # Hypothesis wants one only
    @given(data=st.data())
    @settings(max_examples=60)
    async def test_it_reads_the_same_however_it_is_cut(self, data: st.DataObject) -> None:
        raw, ends, said, is_kept = ANSWERS[data.draw(st.sampled_from(sorted(ANSWERS)))]
        at = sorted(data.draw(st.sets(st.integers(0, len(raw)))))
        parts = [raw[start:stop] for start, stop in zip([0, *at], [*at, len(raw)], strict=True)]
        async with connected() as line:
            with await line.ask_and_get(*parts, ends=ends) as response:
                assert (response.status, await read_all(response)) == said
            if is_kept:
                assert line.connection.is_usable
            else:
                await becomes(lambda: not line.connection.is_usable)


# What is sent before the connection ends, and what that is.
BEFORE_HEAD: Final = {
    "nothing": (b"", NoAnswer),
    "half a head": (OK + b"Content-Le", NoAnswer),
    "only hints": (b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n", NoAnswer),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n", NotHttp),
    "TLS": (b"\x15\x03\x01\x00\x02\x02\x16", NotHttp),
    "status too long": (b"HTTP/1.1 2000 OK\r\n\r\n", NotHttp),
    "no status": (b"HTTP/1.1 000 Odd\r\nContent-Length: 4\r\n\r\nevil" + SHORT, NotHttp),
    "line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", NotHttp),
    "folded": (OK + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n", NotHttp),
    "space before colon": (OK + b"Content-Length : 0\r\n\r\n", NotHttp),
    "two lengths": (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", NotHttp),
    "list of lengths": (OK + b"Content-Length: 1, 1\r\n\r\na", NotHttp),
    "length and chunks": (OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", NotHttp),
    "compressed": (OK + b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", NotHttp),
    "compressed twice": (OK + b"Content-Encoding: none, BR\r\nContent-Length: 1\r\n\r\nx", NotHttp),
    "transfer compressed": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", NotHttp),
    "transfer only compressed": (OK + b"Transfer-Encoding: gzip\r\n\r\nx", NotHttp),
    "switched": (b"HTTP/1.1 101 So\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x01a", NotHttp),
    "switched unasked": (b"HTTP/1.1 101 So\r\n\r\n" + SHORT, NotHttp),
    "headers without end": (OK + b"X-Header: value\r\n" * 6_000, NotHttp),
    "too many headers": (OK + b"X-Header: value\r\n" * 6_000 + b"Content-Length: 4\r\n\r\nevil", NotHttp),
    "header without end": (OK + b"X-Header: " + b"x" * 300_000, NotHttp),
    "header name without end": (OK + b"x" * 300_000, NotHttp),
    "reason without end": (b"HTTP/1.1 200 " + b"x" * 300_000, NotHttp),
    "hints without end": (b"HTTP/1.1 100 Continue\r\n\r\n" * 12_000, NotHttp),
}
WITHIN_BODY: Final = {
    "half a body": (OK + b"Content-Length: 9\r\n\r\nhalf", AnswerBroken, b"half"),
    "half a chunk": (CHUNKED + b"9\r\nhalf", AnswerBroken, b"half"),
    "no last chunk": (CHUNKED + b"4\r\nhalf\r\n", AnswerBroken, b"half"),
    "no end of trailers": (CHUNKED + b"4\r\nhalf\r\n0\r\nX-Sum: 1\r\n", AnswerBroken, b"half"),
    "no size": (CHUNKED + b"4\r\nhalf\r\nxyz\r\n", NotHttp, b"half"),
    "size too large": (CHUNKED + b"4\r\nhalf\r\n" + b"f" * 17 + b"\r\n", NotHttp, b"half"),
    "chunk without end": (CHUNKED + b"4\r\nhalflong", NotHttp, b"half"),
    "too many trailers": (CHUNKED + b"4\r\nhalf\r\n0\r\n" + b"X-Header: value\r\n" * 6_000 + b"\r\n", NotHttp, b"half"),
}


class TestNoAnswer:
    @pytest.mark.parametrize("name", BEFORE_HEAD)
    async def test_what_has_no_head_is_none(self, name: str) -> None:
        raw, error = BEFORE_HEAD[name]
        async with connected() as line:
            with pytest.raises(error):
                await line.ask_and_get(raw, ends=True)
            await becomes(lambda: not line.connection.is_usable)
            assert line.closed == 1

    @pytest.mark.parametrize("name", [name for name, (_, error) in BEFORE_HEAD.items() if error is NotHttp])
    async def test_what_is_no_answer_is_not_waited_for_to_end(self, name: str) -> None:
        raw, error = BEFORE_HEAD[name]
        async with connected() as line:
            with pytest.raises(error):
                await line.ask_and_get(raw)
            assert line.closed == 1

    @pytest.mark.parametrize("name", WITHIN_BODY)
    async def test_a_body_that_breaks_off_is_not_whole(self, name: str) -> None:
        raw, error, body = WITHIN_BODY[name]
        async with connected() as line:
            head, _, rest = raw.partition(b"\r\n\r\n")
            with await line.ask_and_get(head + b"\r\n\r\n") as response:
                await line.sends(rest)
                line.other.close()
                assert await response.read() == body
                for _ in range(2):
                    with pytest.raises(error):
                        await response.read()
                assert not response.is_complete
            assert not line.connection.is_usable
            assert line.closed == 1

    async def test_what_stands_between_chunks_has_an_end(self) -> None:
        async with connected() as line:
            with await line.ask_and_get(CHUNKED) as response:
                reading = asyncio.create_task(response.read())
                await line.sends(b"1;" + b"x" * 300_000)
                with pytest.raises(NotHttp):
                    await reading

    async def test_a_reset_is_not_the_end_of_a_body_without_length(self) -> None:
        async with connected() as line:
            with await line.ask_and_get(OK + b"\r\nhalf") as response:
                assert await response.read() == b"half"
                line.connection._wire.write(b"what the other end does not read")  # so that its end is a reset
                await turn()
                line.other.close()
                with pytest.raises(AnswerBroken):
                    await response.read()

    async def test_a_connection_that_ended_before_it_was_used_gives_none(self) -> None:
        async with connected() as line:
            line.other.close()
            await becomes(lambda: not line.connection.is_usable)
            with pytest.raises(NoAnswer):
                await line.ask()
            assert line.closed == 1

    @pytest.mark.asyncio(loop_factories=["uvloop"])  # Hypothesis wants one only
    @given(raw=st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(OK.__add__)), ends=st.booleans())
    @settings(max_examples=100)
    async def test_garbage_is_never_waited_for_beyond_its_end(self, raw: bytes, ends: bool) -> None:
        await self._hears_out(raw, ends=ends)

    @pytest.mark.asyncio(loop_factories=["uvloop"])  # Hypothesis wants one only
    @given(data=st.data())
    @settings(max_examples=100)
    async def test_an_answer_with_a_byte_changed_or_lost_is_another_answer_or_none(self, data: st.DataObject) -> None:
        raw = ANSWERS[data.draw(st.sampled_from(sorted(ANSWERS)))][0]
        at = data.draw(st.integers(0, len(raw) - 1))
        await self._hears_out(raw[:at] + data.draw(st.binary(max_size=1)) + raw[at + 1 :], ends=True)

    @pytest.mark.asyncio(loop_factories=["uvloop"])  # Hypothesis wants one only
    @given(data=st.data())
    @settings(max_examples=100)
    async def test_a_measured_answer_that_breaks_off_is_never_whole(self, data: st.DataObject) -> None:
        raw = data.draw(st.sampled_from([CHUNKED + b"5;x=y\r\nwhole\r\n0\r\nX-Sum: 1\r\n\r\n", SHORT]))
        at = data.draw(st.integers(0, len(raw) - 1))
        async with connected() as line:
            with pytest.raises((NoAnswer, AnswerBroken)):
                await read_all(await line.ask_and_get(raw[:at], ends=True))

    async def _hears_out(self, raw: bytes, *, ends: bool) -> None:
        """Be sent this and an end: that gives an answer whose body is in it, or an error, and never a wait."""
        async with connected() as line:
            asking = asyncio.create_task(line.ask())
            await line.hears()
            await line.sends(raw)
            if ends:
                line.other.close()
            else:
                line.other.shutdown(socket.SHUT_WR)
            with suppress(HttpError), await asking as response:
                assert response.status >= 200
                body = await read_all(response)
                if "transfer-encoding" not in response.headers:
                    assert body in raw
                    assert len(body) == int(response.headers.get("content-length", len(body))) or response.status in {
                        204,
                        304,
                    }
            assert line.closed == 1
            await becomes(lambda: not line.connection.is_usable)


class TestNextCall:
    @pytest.mark.parametrize("behind", [EVIL, b"HTTP/1.1 100 Continue\r\n\r\n", b"garbage", b"\r\nH", OK])
    async def test_what_follows_an_answer_is_not_part_of_it(self, behind: bytes) -> None:
        async with connected() as line:
            with await line.ask_and_get(SHORT + behind) as response:
                assert await read_all(response) == b"short"
            assert not line.connection.is_usable
            assert line.closed == 1

    @pytest.mark.parametrize("behind", [EVIL, b"garbage"])
    async def test_what_follows_an_answer_later_is_not_part_of_it(self, behind: bytes) -> None:
        async with connected() as line:
            with await line.ask_and_get(SHORT) as response:
                await line.sends(behind)
                assert await read_all(response) == b"short"
            assert not line.connection.is_usable

    @pytest.mark.parametrize("unasked", [EVIL, b"garbage", b"\r\n", b"H"])
    async def test_unrequested_bytes_end_the_connection(self, unasked: bytes) -> None:
        async with connected() as line:
            (await line.ask_and_get(SHORT)).close()
            assert line.connection.is_usable
            await line.sends(unasked)
            assert not line.connection.is_usable
            with pytest.raises(NoAnswer):
                await line.ask()

    async def test_a_greeting_ends_the_connection(self) -> None:
        async with connected() as line:
            await line.sends(b"220 mail.example.com ESMTP\r\n")
            assert not line.connection.is_usable

    async def test_what_was_not_read_of_an_answer_is_forgotten(self) -> None:
        async with connected() as line:
            (await line.ask_and_get(EVIL)).close()
            with await line.ask_and_get(SHORT) as response:
                assert await read_all(response) == b"short"

    async def test_a_closed_answer_reads_nothing_of_the_next(self) -> None:
        async with connected() as line:
            unread = await line.ask_and_get(EVIL)
            unread.close()
            read = await line.ask_and_get(SHORT)
            await read_all(read)
            read.close()
            with await line.ask_and_get(SHORT) as response:
                assert unread.read_ready() == b""
                with pytest.raises(AnswerBroken):
                    await unread.read()
                assert await read.read() == b""
                assert await read_all(response) == b"short"

    async def test_an_answer_closed_twice_is_closed_once(self) -> None:
        async with connected() as line:
            response = await line.ask_and_get(SHORT)
            response.close()
            following = await line.ask_and_get(SHORT)
            response.close()
            assert line.closed == 1
            assert await read_all(following) == b"short"
            following.close()
            assert line.closed == 2

    async def test_an_answer_closed_in_its_midst_ends_the_connection(self) -> None:
        async with connected() as line:
            response = await line.ask_and_get(CHUNKED, b"4\r\nhalf\r\n")
            reading = asyncio.create_task(read_all(response))
            await turn()
            response.close()
            with pytest.raises(AnswerBroken):
                await reading
            assert not line.connection.is_usable
            assert line.closed == 1
            assert await line.hears() == b""

    @pytest.mark.parametrize("so_far", [b"", OK])
    async def test_a_cancelled_call_ends_the_connection(self, so_far: bytes) -> None:
        async with connected() as line:
            asking = asyncio.create_task(line.ask())
            await line.hears()
            await line.sends(so_far)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert not line.connection.is_usable
            assert line.closed == 1
            assert await line.hears() == b""

    async def test_a_cancelled_read_leaves_the_answer_whole(self) -> None:
        async with connected() as line:
            with await line.ask_and_get(CHUNKED) as response:
                reading = asyncio.create_task(response.read())
                await turn()
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    await reading
                await line.sends(b"3\r\nabc\r\n0\r\n\r\n")
                assert await read_all(response) == b"abc"

    async def test_an_answer_before_its_request_was_sent_whole_ends_the_connection(self) -> None:
        async with connected() as line:
            asking = asyncio.create_task(line.ask(REQUEST + b"x" * MORE_THAN_IS_READ_AHEAD))
            await line.hears()
            await line.sends(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\ntoo")
            with await asking as response:
                assert (response.status, await read_all(response)) == (413, b"too")
            assert not line.connection.is_usable


class TestClosing:
    @pytest.mark.parametrize("head", [OK + b"\r\n", CHUNKED])
    async def test_a_connection_closed_mid_answer_breaks_it(self, head: bytes) -> None:
        async with connected() as line:
            with await line.ask_and_get(head) as response:
                reading = asyncio.create_task(response.read())
                await turn()
                line.connection.close()
                with pytest.raises(AnswerBroken):
                    await reading
                assert not response.is_complete

    async def test_a_connection_closed_before_the_answer_gives_none(self) -> None:
        async with connected() as line:
            asking = asyncio.create_task(line.ask())
            await line.hears()
            line.connection.close()
            with pytest.raises(NoAnswer):
                await asking

    async def test_a_connection_closed_behind_an_answer_leaves_it_whole(self) -> None:
        async with connected() as line:
            with await line.ask_and_get(SHORT) as response:
                line.connection.close()
                await turn()
                assert await read_all(response) == b"short"
            assert not line.connection.is_usable

    async def test_a_connection_that_was_never_made_can_be_closed(self) -> None:
        connection = Connection()
        connection.close()
        connection.pause()
        connection.resume()
        assert not connection.is_usable


class TestFlow:
    @pytest.mark.parametrize("head", [OK + b"Content-Length: %d\r\n\r\n" % MORE_THAN_IS_READ_AHEAD, CHUNKED])
    async def test_a_slow_reader_makes_the_sender_wait(self, head: bytes) -> None:
        body = bytes(range(250)) * (MORE_THAN_IS_READ_AHEAD // 250)
        end = b""
        async with connected() as line:
            with await line.ask_and_get(head) as response:
                if head == CHUNKED:
                    head, end = b"%x\r\n" % len(body), b"\r\n0\r\n\r\n"
                    await line.sends(head)
                sending = asyncio.create_task(line.sends(body + end))
                await becomes(lambda: line.connection._is_paused)
                await turn()
                assert not sending.done()
                assert sum(map(len, line.connection.pieces)) < len(body) // 4
                assert await read_all(response) == body
                await sending
            assert line.connection.is_usable

    async def test_reading_what_is_ready_lets_more_come(self) -> None:
        async with connected() as line:
            with await line.ask_and_get(OK + b"Content-Length: %d\r\n\r\n" % MORE_THAN_IS_READ_AHEAD) as response:
                sending = asyncio.create_task(line.sends(b"x" * MORE_THAN_IS_READ_AHEAD))
                read_bytes = 0
                while not response.is_read:
                    await becomes(lambda: line.connection._is_paused or response.is_complete)
                    read_bytes += len(response.read_ready())
                    read_bytes += len(await response.read())
                assert read_bytes == MORE_THAN_IS_READ_AHEAD
                await sending

    async def test_an_answer_closed_while_the_other_end_waits_ends_the_connection(self) -> None:
        async with connected() as line:
            response = await line.ask_and_get(OK + b"Content-Length: %d\r\n\r\n" % MORE_THAN_IS_READ_AHEAD)
            sending = asyncio.create_task(line.sends(b"x" * MORE_THAN_IS_READ_AHEAD))
            await becomes(lambda: line.connection._is_paused)
            response.close()
            await sending
            assert not line.connection.is_usable

    async def test_what_gathers_is_read_at_once(self) -> None:
        async with connected() as line:
            with await line.ask_and_get(CHUNKED) as response:
                gathering = asyncio.create_task(response.gather(0.05))
                await turn()
                await line.sends(b"1\r\na\r\n", b"1\r\nb\r\n", b"1\r\nc\r\n0\r\n\r\n")
                assert response.read_ready() == b""
                await gathering
                assert await response.read() == b"abc"
            assert line.connection.is_usable

    async def test_gathering_while_the_other_end_waits_lets_more_come(self) -> None:
        async with connected() as line:
            head = OK + b"Content-Length: %d\r\n\r\n" % MORE_THAN_IS_READ_AHEAD
            with await line.ask_and_get(head) as response:
                sending = asyncio.create_task(line.sends(b"x" * MORE_THAN_IS_READ_AHEAD))
                await becomes(lambda: line.connection._is_paused)
                await response.gather(0.01)
                assert not line.connection._is_paused
                assert len(await read_all(response)) == MORE_THAN_IS_READ_AHEAD
                await sending
            assert line.connection.is_usable

    async def test_cancelled_gathering_blocks_no_one(self) -> None:
        async with connected() as line:
            with await line.ask_and_get(CHUNKED) as response:
                await line.sends(b"1\r\na\r\n0\r\n\r\n")
                gathering = asyncio.create_task(response.gather(WAIT_SECONDS))
                await turn()
                gathering.cancel()
                with suppress(asyncio.CancelledError):
                    await gathering
            assert line.connection.is_usable
            with await line.ask_and_get(SHORT) as response:
                assert await read_all(response) == b"short"

    async def test_a_read_goes_on_after_gathering_that_was_cancelled(self) -> None:
        async with connected() as line:
            with await line.ask_and_get(CHUNKED) as response:
                gathering = asyncio.create_task(response.gather(WAIT_SECONDS))
                await turn()
                gathering.cancel()
                with suppress(asyncio.CancelledError):
                    await gathering
                await line.sends(b"1\r\na\r\n0\r\n\r\n")
                assert await read_all(response) == b"a"

    @pytest.mark.parametrize("hangs_up", ["we", "they"])
    async def test_gathering_ends_well_when_the_connection_does_not(self, hangs_up: str) -> None:
        async with connected() as line:
            with await line.ask_and_get(CHUNKED) as response:
                gathering = asyncio.create_task(response.gather(0.01))
                await turn()
                closing: Sequence[Callable[[], None]] = [line.connection.close, line.other.close]
                closing[hangs_up == "they"]()
                await gathering
                with pytest.raises(AnswerBroken):
                    await response.read()
                await response.gather(0)
                await turn()
                await response.gather(0)


async def test_an_answer_is_read_whole_up_to_a_size() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabcd"
    async with connected() as line:
        with await line.ask_and_get(answer) as response:
            assert await response.read_all(max_bytes=4) == b"abcd"
        with await line.ask_and_get(answer) as response, pytest.raises(AnswerTooLarge):
            await response.read_all(max_bytes=3)
