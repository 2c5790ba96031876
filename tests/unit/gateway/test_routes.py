import json
from collections.abc import AsyncGenerator

from b2b_chat.contract.schemas import ChatResult
from b2b_chat.contract.sse import Decoder, Event
from b2b_chat.gateway.errors import UpstreamFailure
from b2b_chat.gateway.routes import _events


class Pieces:
    """Pieces of an answer that end as told, and whether they were closed."""

    def __init__(self, end: ChatResult | Exception) -> None:
        self.is_closed = False
        self._end = end

    async def run(self) -> AsyncGenerator[str | ChatResult, None]:
        try:
            yield "b"
            if isinstance(self._end, Exception):
                raise self._end
            yield self._end
        finally:
            self.is_closed = True


async def ready(text: str) -> str:
    return text


async def told(pieces: Pieces) -> list[Event]:
    decoder = Decoder(max_event_bytes=10_000)
    return [
        event for part in [part async for part in _events(ready("a"), pieces.run())] for event in decoder.feed(part)
    ]


async def test_pieces_become_deltas_and_the_result_the_final() -> None:
    pieces = Pieces(ChatResult("ab", None))
    assert await told(pieces) == [
        Event("delta", b'{"text":"a"}', None),
        Event("delta", b'{"text":"b"}', None),
        Event("final", b'{"text":"ab","usage":null,"upstream":"primary"}', None),
    ]


async def test_a_failure_of_openai_becomes_an_error() -> None:
    *_, last = await told(Pieces(UpstreamFailure("upstream_stalled")))
    assert last.name == "error"
    assert json.loads(last.data)["error"]["code"] == "upstream_stalled"


async def test_a_failure_of_ours_becomes_an_error_that_says_nothing_more() -> None:
    *_, last = await told(Pieces(RuntimeError("a secret")))
    assert last.name == "error"
    assert json.loads(last.data)["error"]["code"] == "internal_error"
    assert b"secret" not in last.data


async def test_who_stops_listening_closes_the_answer() -> None:
    pieces = Pieces(ChatResult("ab", None))
    events = _events(ready("a"), pieces.run())
    await anext(events)
    await anext(events)
    await events.aclose()
    assert pieces.is_closed
