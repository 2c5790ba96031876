"""The answers of the simulated OpenAI, read off the wire."""

import json
from typing import Any

import aiohttp
import pytest

from support.openai.simulated import Wire


def events_of(body: bytes) -> list[bytes]:
    """The data of each event of a plainly framed stream."""
    *events, rest = body.split(b"\n\n")
    assert rest == b""
    return [event.removeprefix(b"data: ") for event in events]


async def stream(wire: Wire, directives: str = "", **asked: Any) -> list[bytes]:
    """The events of a whole stream."""
    async with wire.post(directives, stream=True, **asked) as response:
        assert response.status == 200
        return events_of(await response.read())


async def broken_stream(wire: Wire, directives: str) -> tuple[bytes, str]:
    """What came of a stream that breaks, and the reason given by aiohttp."""
    came = b""
    async with wire.post(directives, stream=True) as response:
        try:
            async for part in response.content.iter_any():
                came += part
        except aiohttp.ClientPayloadError as error:
            return came, str(error)
    pytest.fail("the stream did not break")


async def document(wire: Wire, directives: str = "", **asked: Any) -> dict[str, Any]:
    """A whole answer without streaming."""
    async with wire.post(directives, **asked) as response:
        assert response.status == 200
        answer: dict[str, Any] = await response.json()
        return answer


def deltas_of(events: list[bytes]) -> list[str]:
    """The texts of a stream's content chunks."""
    deltas = [json.loads(event)["choices"][0]["delta"] for event in events if b'"delta":{' in event]
    return [delta["content"] for delta in deltas if delta.get("content")]
