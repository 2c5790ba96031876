"""What no server on a socket can show at will: what comes after an answer's end, and when."""

import asyncio
from collections.abc import Callable
from typing import Final

import pytest

from b2b_chat.contract.schemas import ChatResult, Usage
from b2b_chat.gateway.openai_wire import StreamReader
from b2b_chat.gateway.upstream import Upstream, _Chunks, _read_rest
from b2b_chat.kit.http.connection import Connection
from b2b_chat.kit.http.errors import AnswerBroken
from b2b_chat.kit.http.response import Response
from b2b_chat.kit.settings import Secret
from support.gateway.app import gateway_settings
from support.openai.raw import DONE, FINISH, USAGE, delta

FIGURES = Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)
LONG_SECONDS: Final = 600


class Body:
    """An answer's body, of which so much has come."""

    def __init__(self, *chunks: bytes) -> None:
        self.connection = Connection()
        self.response = Response(self.connection.pieces, self.connection, lambda _response: None)
        self.response.begin(200)
        for chunk in chunks:
            self.comes(chunk)

    def comes(self, chunk: bytes) -> None:
        self.connection.pieces.append(chunk)
        self.response.wake()

    def ends(self) -> None:
        self.response.end()
        self.response.wake()

    def breaks(self) -> None:
        self.response.fail(AnswerBroken())


def body_of(*chunks: bytes) -> Body:
    return Body(*chunks)


def ended(*chunks: bytes) -> Body:
    body = body_of(*chunks)
    body.ends()
    return body


def broken(*chunks: bytes) -> Body:
    body = body_of(*chunks)
    body.breaks()
    return body


class TestRest:
    @pytest.mark.parametrize(
        ("rest", "usage"),
        [
            (ended, None),
            (lambda: ended(USAGE), FIGURES),
            (lambda: body_of(USAGE), FIGURES),
            (lambda: ended(b"data: nonsense\n\n"), None),
            (body_of, None),
            (lambda: broken(b": comment\n\n"), None),
        ],
        ids=["end", "late usage", "late usage and silence", "nonsense", "silence", "reset"],
    )
    async def test_nothing_that_follows_the_end_spoils_an_answer(
        self, rest: Callable[[], Body], usage: Usage | None
    ) -> None:
        reader = StreamReader()
        reader.feed(delta("a") + FINISH + DONE)
        await _read_rest(rest().response, reader)
        assert reader.result() == ChatResult("a", usage)


class TestFlush:
    """How long the stream waits for text that closely follows a delta."""

    async def chunks(self, body: Body, *, flush_in_seconds: float) -> _Chunks:
        """Chunks of which one was passed on just as an interval began, so that the next is not due before its end."""
        if flush_in_seconds:
            await asyncio.sleep(flush_in_seconds - asyncio.get_running_loop().time() % flush_in_seconds)
        chunks = _Chunks(body.response, flush_in_seconds)
        chunks.passed_on()
        return chunks

    async def test_what_comes_late_enough_waits_for_nothing(self) -> None:
        body = body_of(b"one")
        chunks = await self.chunks(body, flush_in_seconds=0)
        asyncio.get_running_loop().call_later(0.01, body.comes, b"two")
        assert await chunks.next() == b"one"

    async def test_what_comes_too_soon_waits_for_more(self) -> None:
        body = body_of(b"one")
        chunks = await self.chunks(body, flush_in_seconds=0.1)
        asyncio.get_running_loop().call_later(0.01, body.comes, b"two")
        assert await chunks.next() == b"onetwo"

    async def test_a_quick_stream_waits_before_it_reads(self) -> None:
        body = body_of(b"one")
        chunks = await self.chunks(body, flush_in_seconds=0.05)
        assert await chunks.next() == b"one"
        chunks.passed_on()
        for number, chunk in enumerate((b"two", b"three")):
            asyncio.get_running_loop().call_later(0.01 * number, body.comes, chunk)
        assert await chunks.next() == b"twothree"

    async def test_a_stream_that_was_quick_waits_no_longer(self) -> None:
        body = body_of(b"one")
        chunks = await self.chunks(body, flush_in_seconds=0.02)
        assert await chunks.next() == b"one"
        chunks.passed_on()
        asyncio.get_running_loop().call_later(0.1, body.comes, b"two")
        assert await chunks.next() == b"two"
        asyncio.get_running_loop().call_later(0.01, body.comes, b"four")
        body.comes(b"three")
        assert await chunks.next() == b"three"

    async def test_what_is_complete_waits_for_nothing(self) -> None:
        chunks = _Chunks(ended(b"one").response, LONG_SECONDS)
        chunks.passed_on()
        assert await asyncio.wait_for(chunks.next(), 5) == b"one"
        assert await asyncio.wait_for(chunks.next(), 5) == b""

    async def test_a_failure_meanwhile_is_raised_by_the_next_read(self) -> None:
        body = body_of(b"one")
        chunks = await self.chunks(body, flush_in_seconds=0.1)
        asyncio.get_running_loop().call_later(0.01, body.breaks)
        assert await chunks.next() == b"one"
        with pytest.raises(AnswerBroken):
            await chunks.next()


class TestProxy:
    @pytest.mark.parametrize(
        ("no_proxy", "expected"), [("", "http://proxy.test:3128"), ("api.openai.test", None)], ids=["used", "excepted"]
    )
    async def test_the_environments_proxy_is(
        self, monkeypatch: pytest.MonkeyPatch, no_proxy: str, expected: str | None
    ) -> None:
        monkeypatch.setenv("https_proxy", "http://proxy.test:3128")
        monkeypatch.setenv("no_proxy", no_proxy)
        upstream = Upstream("primary", "https://api.openai.test/v1", Secret("key"), gateway_settings())
        proxy = upstream._http._proxy
        assert (proxy.geturl() if proxy else None) == expected
        await upstream.close()
