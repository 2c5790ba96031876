"""What no server on a socket can show at will: what comes after an answer's end."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import httpx2
import pytest

from b2b_chat.contract.schemas import ChatResult, Usage
from b2b_chat.gateway.completions import StreamReader
from b2b_chat.gateway.upstream import _read_rest
from support.raw_upstream import DONE, FINISH, USAGE, delta

FIGURES = Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)


async def nothing() -> AsyncGenerator[bytes, None]:
    chunks: tuple[bytes, ...] = ()
    for chunk in chunks:
        yield chunk


async def late_usage() -> AsyncGenerator[bytes, None]:
    yield USAGE


async def nonsense() -> AsyncGenerator[bytes, None]:
    yield b"data: nonsense\n\n"


async def silence() -> AsyncGenerator[bytes, None]:
    await asyncio.Event().wait()
    yield b""


async def reset() -> AsyncGenerator[bytes, None]:
    yield b": comment\n\n"
    raise httpx2.ReadError("reset")


@pytest.mark.parametrize(
    ("rest", "usage"), [(nothing, None), (late_usage, FIGURES), (nonsense, None), (silence, None), (reset, None)]
)
async def test_nothing_that_follows_the_end_spoils_an_answer(
    rest: Callable[[], AsyncGenerator[bytes, None]], usage: Usage | None
) -> None:
    reader = StreamReader()
    reader.feed(delta("a") + FINISH + DONE)
    await _read_rest(rest(), reader)
    assert reader.result() == ChatResult("a", usage)
