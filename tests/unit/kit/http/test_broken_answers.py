"""Answers that break off, are no HTTP, or never come."""

import asyncio
import socket
from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2b_chat.kit.http.errors import AnswerBroken, HttpError, NoAnswer, NotHttp
from support.http.line import ANSWERS, CHUNKED, OK, SHORT, becomes, connected, read_all, turn

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
