import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from b2b_chat.contract.sse import KEEP_ALIVE
from b2b_chat.kit.event_stream import EventStream


class Client:
    """The other end of a request, as ASGI shows it."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.has_left = asyncio.Event()
        self._messages: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive(self) -> Any:
        if self._messages:
            return self._messages.pop()
        await self.has_left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.received.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.received)

    @property
    def has_all(self) -> bool:
        return self.received[-1].get("more_body") is False

    async def take(self, stream: EventStream) -> None:
        """Read the stream to its end, or until leaving."""
        scope: Any = {"type": "http"}
        await stream.to_asgi_response()(scope, self.receive, self.send)


class Source:
    """Events that come when a test says so."""

    def __init__(self, *events: bytes, then: Callable[[], Any] = lambda: None) -> None:
        self.is_closed = False
        self.goes_on = asyncio.Event()
        self._events = events
        self._then = then

    async def run(self) -> AsyncGenerator[bytes, None]:
        try:
            for event in self._events:
                yield event
            await self.goes_on.wait()
            self._then()
            yield b"last\n\n"
        finally:
            self.is_closed = True


@pytest.fixture
def client() -> Client:
    return Client()


def stream_of(source: Source, *, keep_alive_seconds: float = 60, **options: Any) -> EventStream:
    return EventStream(source.run(), keep_alive_seconds=keep_alive_seconds, **options)


async def until_seen(client: Client, text: bytes) -> None:
    async with asyncio.timeout(5):
        while text not in client.body:  # noqa: ASYNC110 - what is waited for is a list that grows
            await asyncio.sleep(0)


class TestStream:
    async def test_sends_the_headers_the_events_and_the_end(self, client: Client) -> None:
        source = Source(b"one\n\n", b"two\n\n")
        source.goes_on.set()
        await client.take(stream_of(source))
        start, *_ = client.received
        assert start["status"] == 200
        assert dict(start["headers"]) == {
            b"content-type": b"text/event-stream; charset=utf-8",
            b"cache-control": b"no-store",
            b"x-accel-buffering": b"no",
        }
        assert client.body.replace(KEEP_ALIVE, b"") == b"one\n\ntwo\n\nlast\n\n"
        assert client.has_all
        assert source.is_closed

    async def test_may_have_headers_of_its_own(self, client: Client) -> None:
        source = Source()
        source.goes_on.set()
        await client.take(stream_of(source, headers={"X-Note": "a"}))
        assert (b"x-note", b"a") in client.received[0]["headers"]

    async def test_a_silent_source_is_covered_at_once(self, client: Client) -> None:
        taking = asyncio.create_task(client.take(stream_of(Source())))
        await until_seen(client, KEEP_ALIVE)
        client.has_left.set()
        await asyncio.wait_for(taking, 5)

    async def test_and_for_as_long_as_it_is_silent(self, client: Client) -> None:
        taking = asyncio.create_task(client.take(stream_of(Source(b"one\n\n"), keep_alive_seconds=0.01)))
        await until_seen(client, KEEP_ALIVE * 3)
        client.has_left.set()
        await asyncio.wait_for(taking, 5)

    async def test_a_disconnect_closes_the_source(self, client: Client) -> None:
        source = Source(b"one\n\n")
        taking = asyncio.create_task(client.take(stream_of(source)))
        await until_seen(client, b"one")
        client.has_left.set()
        await asyncio.wait_for(taking, 5)
        assert source.is_closed
        assert not client.has_all

    async def test_a_source_that_fails_cuts_the_stream(self, client: Client) -> None:
        def fail() -> None:
            raise LookupError

        source = Source(b"one\n\n", then=fail)
        source.goes_on.set()
        with pytest.raises(LookupError):
            await client.take(stream_of(source))
        assert b"one" in client.body
        assert not client.has_all

    async def test_a_source_that_fails_may_report_it_as_an_event(self, client: Client) -> None:
        def fail() -> None:
            raise LookupError("why")

        source = Source(b"one\n\n", then=fail)
        source.goes_on.set()
        await client.take(stream_of(source, failure_event=lambda error: f"{type(error).__name__}\n\n".encode()))
        assert client.body == b"one\n\nLookupError\n\n"
        assert client.has_all

    async def test_a_failure_before_the_stream_has_begun_is_left_to_a_status(self, client: Client) -> None:
        def fail() -> None:
            raise LookupError

        source = Source(then=fail)
        stream = stream_of(source, begin_within_seconds=60, failure_event=lambda _error: b"never\n\n")
        source.goes_on.set()
        with pytest.raises(LookupError):
            await client.take(stream)
        assert client.received == []
        assert source.is_closed

    async def test_a_stream_may_begin_late(self, client: Client) -> None:
        source = Source()
        taking = asyncio.create_task(client.take(stream_of(source, begin_within_seconds=0.02)))
        await until_seen(client, KEEP_ALIVE)
        source.goes_on.set()
        await asyncio.wait_for(taking, 5)
        assert client.body == KEEP_ALIVE + b"last\n\n"

    async def test_a_client_that_leaves_before_the_stream_has_begun_is_in_the_log(self, client: Client) -> None:
        source = Source()
        taking = asyncio.create_task(client.take(stream_of(source, begin_within_seconds=60)))
        await asyncio.sleep(0)
        client.has_left.set()
        await asyncio.wait_for(taking, 5)
        assert (client.received[0]["status"], client.body) == (499, b"")
        assert source.is_closed

    @pytest.mark.parametrize("is_silent", [False, True])
    async def test_when_to_reconnect_is_the_first_that_is_sent(self, client: Client, *, is_silent: bool) -> None:
        source = Source(*([] if is_silent else [b"one\n\n"]))
        taking = asyncio.create_task(client.take(stream_of(source, retry_ms=1500)))
        await until_seen(client, KEEP_ALIVE if is_silent else b"one")
        source.goes_on.set()
        await asyncio.wait_for(taking, 5)
        assert client.body.startswith(b"retry: 1500\n\n")
        assert client.body.count(b"retry") == 1

    @pytest.mark.parametrize("leaves", [False, True])
    async def test_its_end_is_reported_once(self, client: Client, *, leaves: bool) -> None:
        ends: list[str] = []
        source = Source(b"one\n\n")
        stream = stream_of(source, on_close=lambda: ends.append("closed"))
        taking = asyncio.create_task(client.take(stream))
        await until_seen(client, b"one")
        (client.has_left if leaves else source.goes_on).set()
        await asyncio.wait_for(taking, 5)
        assert ends == ["closed"]
