import asyncio
from typing import Any

import pytest

from b2b_chat.kit.disconnects import ClientLeft, WhileClientStays


class Client:
    """A client that disconnects when the test says so, after more of its body."""

    def __init__(self) -> None:
        self.has_left = asyncio.Event()
        self.is_watched = asyncio.Event()
        self._messages: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive(self) -> Any:
        if self._messages:
            return self._messages.pop()
        self.is_watched.set()
        await self.has_left.wait()
        return {"type": "http.disconnect"}


@pytest.fixture
def client() -> Client:
    return Client()


def asks_to_be_cancelled() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def test_a_client_that_stays_ends_nothing(client: Client) -> None:
    with WhileClientStays(client.receive):
        await client.is_watched.wait()
    client.has_left.set()
    await asyncio.sleep(0.01)


async def test_a_disconnect_ends_the_awaited_work(client: Client) -> None:
    async def leave() -> None:
        await client.is_watched.wait()
        client.has_left.set()

    leaving = asyncio.create_task(leave())
    with pytest.raises(ClientLeft), WhileClientStays(client.receive):
        await asyncio.Event().wait()
    assert leaving.done()
    assert not asks_to_be_cancelled()
    await asyncio.sleep(0)


async def test_an_outside_cancellation_stays_a_cancellation(client: Client) -> None:
    async def work() -> None:
        with WhileClientStays(client.receive):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await client.is_watched.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_the_block_raises_is_raised(client: Client) -> None:
    with pytest.raises(LookupError), WhileClientStays(client.receive):
        raise LookupError
