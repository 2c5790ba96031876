"""Flow between a slow reader and a fast sender, and answers that are read in one piece."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from b2b_chat.kit.http.errors import AnswerBroken, AnswerTooLarge
from support.http.line import (
    CHUNKED,
    MORE_THAN_IS_READ_AHEAD,
    OK,
    SHORT,
    WAIT_SECONDS,
    becomes,
    connected,
    read_all,
    turn,
)


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
