"""What no server on a socket can show at will: what comes after an answer's end, and when."""

import asyncio
from collections.abc import Callable

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol

from b2b_chat.contract.schemas import ChatResult, Usage
from b2b_chat.gateway.completions import StreamReader
from b2b_chat.gateway.upstream import Upstream, _Deadline, _next_chunk, _read_rest
from b2b_chat.kit.settings import Secret
from support.gateway import gateway_settings
from support.raw_upstream import DONE, FINISH, USAGE, delta

FIGURES = Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)


def body_of(*chunks: bytes) -> aiohttp.StreamReader:
    """A response's body, of which so much has come."""
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(asyncio.Transport())
    body = aiohttp.StreamReader(protocol, 65_536, loop=loop)
    for chunk in chunks:
        body.feed_data(chunk)
    return body


def ended(*chunks: bytes) -> aiohttp.StreamReader:
    body = body_of(*chunks)
    body.feed_eof()
    return body


def broken(*chunks: bytes) -> aiohttp.StreamReader:
    body = body_of(*chunks)
    body.set_exception(aiohttp.ClientPayloadError("reset"))
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
        self, rest: Callable[[], aiohttp.StreamReader], usage: Usage | None
    ) -> None:
        reader = StreamReader()
        reader.feed(delta("a") + FINISH + DONE)
        await _read_rest(rest(), reader)
        assert reader.result() == ChatResult("a", usage)


class TestFlush:
    """Whether what comes close behind a delta is waited for."""

    async def chunk(self, body: aiohttp.StreamReader, *, flush_in_seconds: float) -> bytes:
        now = asyncio.get_running_loop().time()
        return await _next_chunk(body, _Deadline(now + 5, "upstream_timeout"), now + flush_in_seconds)

    async def test_what_comes_late_enough_waits_for_nothing(self) -> None:
        body = body_of(b"one")
        asyncio.get_running_loop().call_later(0.01, body.feed_data, b"two")
        assert await self.chunk(body, flush_in_seconds=-1) == b"one"

    async def test_what_comes_too_soon_waits_for_more(self) -> None:
        body = body_of(b"one")
        asyncio.get_running_loop().call_later(0.01, body.feed_data, b"two")
        assert await self.chunk(body, flush_in_seconds=0.1) == b"onetwo"

    async def test_what_is_complete_waits_for_nothing(self) -> None:
        assert await asyncio.wait_for(self.chunk(ended(b"one"), flush_in_seconds=60), 5) == b"one"
        assert await asyncio.wait_for(self.chunk(ended(), flush_in_seconds=60), 5) == b""

    async def test_what_breaks_meanwhile_breaks_what_comes_next(self) -> None:
        body = body_of(b"one")
        error = aiohttp.ClientPayloadError("reset")
        asyncio.get_running_loop().call_later(0.01, body.set_exception, error)
        assert await self.chunk(body, flush_in_seconds=0.1) == b"one"
        with pytest.raises(aiohttp.ClientPayloadError):
            await self.chunk(body, flush_in_seconds=0)


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
        session = upstream._open()
        assert (str(session._default_proxy) if session._default_proxy else None) == expected
        await upstream.close()
