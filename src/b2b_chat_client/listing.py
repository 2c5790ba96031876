"""Lists that are fetched page by page while they are read."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from b2b_chat_client.async_connection import AsyncConnection
from b2b_chat_client.call import Call, Page
from b2b_chat_client.connection import Connection

Item = TypeVar("Item")


@dataclass(frozen=True)
class Listing(Generic[Item]):
    """All items of a list: iterate over it, or over its pages."""

    connection: Connection
    first: Call[Page[Item]]

    def __iter__(self) -> Iterator[Item]:
        for page in self.pages():
            yield from page.items

    def pages(self) -> Iterator[Page[Item]]:
        """Yield the pages; `next_cursor` of one, given as `cursor`, goes on after it another day."""
        call: Call[Page[Item]] | None = self.first
        while call is not None:
            page = self.connection.call(call)
            yield page
            call = None if page.next_cursor is None else self.first.after(page.next_cursor)


@dataclass(frozen=True)
class AsyncListing(Generic[Item]):
    """All items of a list: iterate over it, or over its pages."""

    connection: AsyncConnection
    first: Call[Page[Item]]

    async def __aiter__(self) -> AsyncIterator[Item]:
        async for page in self.pages():
            for item in page.items:
                yield item

    async def pages(self) -> AsyncIterator[Page[Item]]:
        """Yield the pages; `next_cursor` of one, given as `cursor`, goes on after it another day."""
        call: Call[Page[Item]] | None = self.first
        while call is not None:
            page = await self.connection.call(call)
            yield page
            call = None if page.next_cursor is None else self.first.after(page.next_cursor)
