"""Both faces of the Python client as one, for tests of what they share."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from b2b_chat_client import AsyncB2BChat, B2BChat
from b2b_chat_client.events import StreamEvent
from b2b_chat_client.types import ChatAnswer

T = TypeVar("T")


class Face(Protocol):
    """A client that sends messages."""

    async def send(self, text: str, **options: Any) -> ChatAnswer:
        """Send a message, and return its answer."""

    async def events(self, text: str, **options: Any) -> list[StreamEvent]:
        """Send a message, and return what the reader of its stream gets."""

    async def followed(self, assistant_message_id: object) -> list[StreamEvent]:
        """Return what the reader of an answer gets."""

    async def listed(self, pick: Callable[[Any], Any]) -> list[Any]:
        """Return all items of a list of the client."""

    async def called(self, call: Callable[[Any], Any]) -> Any:
        """Return what a method of the client returns."""


class AsyncFace:
    """The asynchronous client."""

    def __init__(self, client: AsyncB2BChat) -> None:
        self.client = client

    async def send(self, text: str, **options: Any) -> ChatAnswer:
        return await self.client.chat.send(text, **options)

    async def events(self, text: str, **options: Any) -> list[StreamEvent]:
        async with self.client.chat.stream(text, **options) as stream:
            return [event async for event in stream]

    async def followed(self, assistant_message_id: object) -> list[StreamEvent]:
        async with self.client.chat.follow(str(assistant_message_id)) as stream:
            return [event async for event in stream]

    async def listed(self, pick: Callable[[Any], Any]) -> list[Any]:
        return [item async for item in pick(self.client)]

    async def called(self, call: Callable[[Any], Any]) -> Any:
        return await call(self.client)


class SyncFace:
    """The synchronous client, in a thread."""

    def __init__(self, client: B2BChat) -> None:
        self.client = client

    async def send(self, text: str, **options: Any) -> ChatAnswer:
        return await asyncio.to_thread(self.client.chat.send, text, **options)

    async def events(self, text: str, **options: Any) -> list[StreamEvent]:
        return await asyncio.to_thread(self._events, text, options)

    def _events(self, text: str, options: dict[str, Any]) -> list[StreamEvent]:
        with self.client.chat.stream(text, **options) as stream:
            return list(stream)

    async def followed(self, assistant_message_id: object) -> list[StreamEvent]:
        return await asyncio.to_thread(lambda: [*self.client.chat.follow(str(assistant_message_id))])

    async def listed(self, pick: Callable[[Any], Any]) -> list[Any]:
        return await asyncio.to_thread(lambda: list(pick(self.client)))

    async def called(self, call: Callable[[Any], Any]) -> Any:
        return await asyncio.to_thread(call, self.client)


FACES = ("sync", "async")


@asynccontextmanager
async def face_of(kind: str, api_key: str, base_url: str, **options: Any) -> AsyncIterator[Face]:
    """A client of either kind."""
    if kind == "sync":
        with B2BChat(api_key, base_url=base_url, **options) as client:
            yield SyncFace(client)
    else:
        async with AsyncB2BChat(api_key, base_url=base_url, **options) as client:
            yield AsyncFace(client)
