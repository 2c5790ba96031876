import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from b2b_chat.contract.sse import KEEP_ALIVE
from b2b_chat.kit.event_stream import EventStream, race, until_client_leaves


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


class TestWatch:
    async def test_the_end_of_the_body_is_not_the_end_of_the_client(self, client: Client) -> None:
        watching = asyncio.create_task(until_client_leaves(client.receive))
        await asyncio.sleep(0)
        assert not watching.done()
        client.has_left.set()
        await asyncio.wait_for(watching, 5)


class TestRace:
    async def test_work_that_ends_first_is_done(self, client: Client) -> None:
        done: list[int] = []

        async def work() -> None:
            await asyncio.sleep(0)
            done.append(1)

        assert await race(work(), client.receive)
        assert done == [1]

    async def test_who_leaves_first_ends_the_work(self, client: Client) -> None:
        ended: list[str] = []

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.sleep(0)
                ended.append("cancelled")
                raise

        client.has_left.set()
        assert not await race(work(), client.receive)
        assert ended == ["cancelled"]

    async def test_what_the_work_raises_is_raised(self, client: Client) -> None:
        async def work() -> None:
            await asyncio.sleep(0)
            raise LookupError

        with pytest.raises(LookupError):
            await race(work(), client.receive)

    async def test_who_stops_the_race_stops_the_work(self, client: Client) -> None:
        started, ended = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            try:
                started.set()
                await asyncio.Event().wait()
            finally:
                ended.set()

        racing = asyncio.create_task(race(work(), client.receive))
        await started.wait()
        racing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await racing
        assert ended.is_set()


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

    async def test_who_leaves_closes_the_source(self, client: Client) -> None:
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

    @pytest.mark.parametrize("leaves", [False, True])
    async def test_its_end_is_told_once(self, client: Client, *, leaves: bool) -> None:
        ends: list[str] = []
        source = Source(b"one\n\n")
        stream = stream_of(source, on_close=lambda: ends.append("closed"))
        taking = asyncio.create_task(client.take(stream))
        await until_seen(client, b"one")
        (client.has_left if leaves else source.goes_on).set()
        await asyncio.wait_for(taking, 5)
        assert ends == ["closed"]
