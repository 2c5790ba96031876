"""The two faces of the client."""

from types import TracebackType
from typing import TYPE_CHECKING

import httpx

from b2b_chat_client import async_resources, resources
from b2b_chat_client.async_connection import AsyncConnection
from b2b_chat_client.chat import AsyncChat, Chat
from b2b_chat_client.configuration import TIMEOUT_SECONDS, configured
from b2b_chat_client.connection import Connection
from b2b_chat_client.retrying import MAX_RETRIES

if TYPE_CHECKING:
    from typing_extensions import Self


class B2BChat(resources.Root):
    """A client of one b2b-chat server. Threads may share it.

    Args:
        api_key: By default what `B2B_CHAT_API_KEY` holds.
        base_url: The server's address; by default what `B2B_CHAT_BASE_URL` holds.
        max_retries: How many failures in a row are tried again.
        timeout_seconds: How long the server may be silent.
        http_client: Sends the requests, for proxies and certificates of your own; it is left open at the end.

    Raises:
        NotConfigured: There is no key or no address.
    """

    chat: Chat

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        max_retries: int = MAX_RETRIES,
        timeout_seconds: float = TIMEOUT_SECONDS,
        http_client: httpx.Client | None = None,
    ) -> None:
        settings = configured(api_key, base_url, timeout_seconds=timeout_seconds, max_retries=max_retries)
        http = httpx.Client() if http_client is None else http_client
        self._own_http = http if http_client is None else None
        connection = Connection(settings, http)
        super().__init__(connection)
        self.chat = Chat(connection)

    def close(self) -> None:
        """Close the connections."""
        if self._own_http is not None:
            self._own_http.close()

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncB2BChat(async_resources.Root):
    """A client of one b2b-chat server. The tasks of one event loop may share it.

    Args:
        api_key: By default what `B2B_CHAT_API_KEY` holds.
        base_url: The server's address; by default what `B2B_CHAT_BASE_URL` holds.
        max_retries: How many failures in a row are tried again.
        timeout_seconds: How long the server may be silent.
        http_client: Sends the requests, for proxies and certificates of your own; it is left open at the end.

    Raises:
        NotConfigured: There is no key or no address.
    """

    chat: AsyncChat

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        max_retries: int = MAX_RETRIES,
        timeout_seconds: float = TIMEOUT_SECONDS,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        settings = configured(api_key, base_url, timeout_seconds=timeout_seconds, max_retries=max_retries)
        http = httpx.AsyncClient() if http_client is None else http_client
        self._own_http = http if http_client is None else None
        connection = AsyncConnection(settings, http)
        super().__init__(connection)
        self.chat = AsyncChat(connection)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._own_http is not None:
            await self._own_http.aclose()

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
