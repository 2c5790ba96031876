"""Answers over one connection, the call that follows each, and the connection's end."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2b_chat.kit.http.connection import Connection
from b2b_chat.kit.http.errors import AnswerBroken, NoAnswer
from support.http.line import (
    ANSWERS,
    CHUNKED,
    EVIL,
    MORE_THAN_IS_READ_AHEAD,
    OK,
    REQUEST,
    SHORT,
    becomes,
    bytewise,
    connected,
    read_all,
    turn,
)


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
