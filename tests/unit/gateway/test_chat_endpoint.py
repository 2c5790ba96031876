"""What the endpoint sends. The door and the way to OpenAI have tests of their own, on sockets."""

import asyncio
import json
from typing import Any

import pytest

from b2b_chat.contract.content import Piece
from b2b_chat.contract.schemas import ChatRequest, ChatResult
from b2b_chat.contract.sse import KEEP_ALIVE, Decoder, Event
from b2b_chat.gateway.chat_endpoint import ChatEndpoint
from b2b_chat.gateway.errors import UpstreamFailure
from b2b_chat.gateway.upstream import OnPiece
from support.gateway.app import gateway_settings
from support.gateway.chat_bodies import chat_request

END = ChatResult("ab", None)


class Pieces:
    """Pieces of an answer that end as the test orders, and whether they were closed."""

    def __init__(self, *pieces: str | ChatResult | Exception) -> None:
        self.is_closed = False
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self._pieces = pieces

    async def answer(self, _request: ChatRequest, _request_id: str, on_piece: OnPiece) -> ChatResult:
        try:
            for piece in self._pieces:
                await self.goes_on.wait()
                if isinstance(piece, Exception):
                    raise piece
                if isinstance(piece, ChatResult):
                    return piece
                await on_piece(Piece(piece))
                if piece == "pause":
                    self.goes_on.clear()
        finally:
            self.is_closed = True
        raise AssertionError("an answer has an end")


async def no_app(*_asgi: Any) -> None:
    raise AssertionError("a chat goes no further")


class Client:
    """The other end of a request, as ASGI shows it."""

    def __init__(self) -> None:
        self._asked = False
        self.received: list[dict[str, Any]] = []
        self.has_left = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()

    async def receive(self) -> Any:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": json.dumps(chat_request(stream=True)).encode(), "more_body": False}
        await self.has_left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.received.append(message)
        await self.reads.wait()

    @property
    def status(self) -> int:
        status: int = self.received[0]["status"]
        return status

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.received)

    @property
    def events(self) -> list[Event]:
        return Decoder(max_event_bytes=10_000).feed(self.body)

    @property
    def has_all(self) -> bool:
        return self.received[-1].get("more_body") is False

    async def take(self, pieces: Pieces, *, start_seconds: float = 60, keep_alive_seconds: float = 60) -> None:
        """Read the stream to its end, or until leaving."""
        settings = gateway_settings(stream_start_seconds=start_seconds, sse_keep_alive_seconds=keep_alive_seconds)
        scope: Any = {"type": "http", "path": "/v1/chat", "method": "POST", "query_string": b"", "headers": []}
        await ChatEndpoint(no_app, pieces.answer, settings)(scope, self.receive, self.send)

    async def until_seen(self, text: bytes) -> None:
        async with asyncio.timeout(5):
            while text not in self.body:  # noqa: ASYNC110 - what is waited for is a list that grows
                await asyncio.sleep(0)


@pytest.fixture
def client() -> Client:
    return Client()


async def test_pieces_become_deltas_and_the_result_the_final(client: Client) -> None:
    pieces = Pieces("a", "b", END)
    await client.take(pieces)
    assert client.events == [
        Event("delta", b'{"text":"a"}', None),
        Event("delta", b'{"text":"b"}', None),
        Event("final", b'{"text":"ab","usage":null,"finish_reason":"stop","upstream":"primary"}', None),
    ]
    assert client.has_all
    assert pieces.is_closed
    start, *_ = client.received
    assert start["status"] == 200
    assert dict(start["headers"]) == {
        b"content-type": b"text/event-stream; charset=utf-8",
        b"cache-control": b"no-store",
        b"x-accel-buffering": b"no",
    }


@pytest.mark.parametrize("sent", ["", "a"])
async def test_what_was_not_sent_comes_with_the_final(client: Client, sent: str) -> None:
    await client.take(Pieces(*filter(None, [sent]), END))
    texts = [json.loads(event.data)["text"] for event in client.events]
    assert [event.name for event in client.events][-2:] == ["delta", "final"]
    assert "".join(texts[:-1]) == texts[-1] == "ab"
    assert client.received[-1]["body"].count(b"event:") == 2


async def test_a_failure_before_the_stream_has_begun_has_its_status(client: Client) -> None:
    await client.take(Pieces(UpstreamFailure("upstream_stalled")))
    assert client.status == 504
    assert json.loads(client.body)["error"]["code"] == "upstream_stalled"
    assert client.has_all


async def test_a_client_that_cannot_be_sent_to_breaks_the_stream(client: Client) -> None:
    async def broken(message: Any) -> None:
        await Client.send(client, message)
        if b"event:" in message.get("body", b""):
            raise ConnectionError

    client.send = broken  # type: ignore[method-assign]
    pieces = Pieces("a", END)
    with pytest.raises(ConnectionError):
        await client.take(pieces)
    assert pieces.is_closed


async def test_a_failure_of_openai_becomes_an_error(client: Client) -> None:
    await client.take(Pieces("a", UpstreamFailure("upstream_stalled")))
    assert [event.name for event in client.events] == ["delta", "error"]
    assert json.loads(client.events[-1].data)["error"]["code"] == "upstream_stalled"
    assert client.has_all


async def test_a_defect_becomes_an_error_without_details(client: Client) -> None:
    await client.take(Pieces("a", RuntimeError("a secret")))
    assert json.loads(client.events[-1].data)["error"]["code"] == "internal_error"
    assert b"secret" not in client.body


async def test_a_stream_begins_with_a_comment_where_the_first_text_is_late(client: Client) -> None:
    pieces = Pieces("a", END)
    pieces.goes_on.clear()
    taking = asyncio.create_task(client.take(pieces, start_seconds=0.01))
    await client.until_seen(KEEP_ALIVE)
    pieces.goes_on.set()
    await asyncio.wait_for(taking, 5)
    assert [message["type"] for message in client.received].count("http.response.start") == 1
    assert client.body.startswith(KEEP_ALIVE + b"event: delta")


async def test_a_failure_after_that_comment_is_an_event(client: Client) -> None:
    pieces = Pieces(UpstreamFailure("upstream_timeout"))
    pieces.goes_on.clear()
    taking = asyncio.create_task(client.take(pieces, start_seconds=0))
    await client.until_seen(KEEP_ALIVE)
    pieces.goes_on.set()
    await asyncio.wait_for(taking, 5)
    assert [event.name for event in client.events] == ["error"]


async def test_silence_is_covered_for_as_long_as_it_lasts(client: Client) -> None:
    pieces = Pieces("pause", END)
    taking = asyncio.create_task(client.take(pieces, keep_alive_seconds=0.01))
    await client.until_seen(KEEP_ALIVE * 3)
    pieces.goes_on.set()
    await asyncio.wait_for(taking, 5)
    assert [event.name for event in client.events] == ["delta", "final"]


async def test_an_event_waits_for_the_comment_that_is_being_sent(client: Client) -> None:
    pieces = Pieces("pause", END)
    taking = asyncio.create_task(client.take(pieces, keep_alive_seconds=0.01))
    await client.until_seen(b"pause")
    client.reads.clear()
    await client.until_seen(KEEP_ALIVE)
    pieces.goes_on.set()
    await asyncio.sleep(0.02)
    assert b"final" not in client.body
    client.reads.set()
    await asyncio.wait_for(taking, 5)
    assert [event.name for event in client.events] == ["delta", "final"]


@pytest.mark.parametrize("has_begun", [False, True])
async def test_a_client_that_leaves_closes_the_answer(client: Client, *, has_begun: bool) -> None:
    pieces = Pieces("pause", END)
    if not has_begun:
        pieces.goes_on.clear()
    taking = asyncio.create_task(client.take(pieces))
    if has_begun:
        await client.until_seen(b"pause")
    await asyncio.sleep(0)
    client.has_left.set()
    await asyncio.wait_for(taking, 5)
    assert client.status == (200 if has_begun else 499)
    assert client.has_all is not has_begun
    assert pieces.is_closed


async def test_a_client_that_left_gets_no_more_comments(client: Client) -> None:
    taking = asyncio.create_task(client.take(Pieces("pause", END), keep_alive_seconds=0.01))
    await client.until_seen(KEEP_ALIVE)
    client.reads.clear()
    await asyncio.sleep(0.02)
    client.has_left.set()
    await asyncio.wait_for(taking, 5)
    seen = len(client.received)
    client.reads.set()
    await asyncio.sleep(0.03)
    assert len(client.received) == seen
