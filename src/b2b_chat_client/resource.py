"""What the groups of operations are made of."""

from b2b_chat_client.async_connection import AsyncConnection
from b2b_chat_client.connection import Connection


class Resource:
    """A group of operations."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection


class AsyncResource:
    """A group of operations."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
