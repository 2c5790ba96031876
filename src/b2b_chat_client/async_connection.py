"""Doing the steps of calls with httpx, while other tasks go on."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeVar

import httpx

from b2b_chat_client.call import Call
from b2b_chat_client.calling import calling
from b2b_chat_client.configuration import Configuration, as_failure
from b2b_chat_client.errors import B2BChatError
from b2b_chat_client.events import StreamEvent
from b2b_chat_client.steps import Close, Emit, Flow, Head, Open, Read, ReadAll, Step, Wait, noted, resumed

T = TypeVar("T")


class AsyncConnection:
    """Sends requests to one server with one key.

    Args:
        configuration: Where to, and how.
        http: Sends the requests. The caller closes it.
    """

    def __init__(self, configuration: Configuration, http: httpx.AsyncClient) -> None:
        self.configuration = configuration
        self.http = http

    async def call(self, call: Call[T]) -> T:
        """Return what a call is for."""
        return await self.run(calling(call, self.configuration.retries(is_safe_to_repeat=call.is_safe_to_repeat)))

    async def run(self, flow: Flow[T]) -> T:
        """Do a flow's steps up to its end; nobody is shown its events."""
        values: list[T] = []
        async for _ in self.driving(noted(flow, values)):
            pass
        return values[0]

    async def driving(self, flow: Flow[Any]) -> AsyncGenerator[StreamEvent, None]:
        """Do a flow's steps and yield its events."""
        exchange = _Exchange(self.configuration, self.http)
        try:
            step = next(flow)
            while True:
                if isinstance(step, Emit):
                    yield step.event
                step = resumed(flow, await exchange.result_of(step))
        except StopIteration:
            return
        finally:
            await exchange.close()


class _Exchange:
    """The request that is under way."""

    def __init__(self, configuration: Configuration, http: httpx.AsyncClient) -> None:
        self._configuration = configuration
        self._http = http
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None

    async def result_of(self, step: Step) -> Head | bytes | B2BChatError | None:
        try:
            return await self._do(step)
        except httpx.RequestError as error:
            return as_failure(error)

    async def _do(self, step: Step) -> Head | bytes | None:
        match step:
            case Open(request):
                built = self._http.build_request(**self._configuration.arguments(request))
                self._response = await self._http.send(built, stream=True)
                self._chunks = self._response.aiter_bytes()
                return Head(self._response.status_code, dict(self._response.headers.items()))
            case Read():
                return await self._next_chunk()
            case ReadAll():
                body = await self._response.aread() if self._response is not None else b""
                await self.close()
                return body
            case Close():
                await self.close()
            case Wait(seconds):
                await asyncio.sleep(seconds)
            case Emit():
                pass
        return None

    async def _next_chunk(self) -> bytes:
        return b"" if self._chunks is None else await anext(self._chunks, b"")

    async def close(self) -> None:
        if self._response is not None:
            await self._response.aclose()
            self._response = None
