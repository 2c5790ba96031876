"""OpenAI over the network: the only place that knows its SDK. One attempt, its deadlines, and how it can end.

The SDK finds the address, authenticates, sends, and tells errors apart. It neither retries nor times out (its own limit
is 600 s) nor decodes: bytes go out as msgspec made them and come back as they were read, so that deltas which are ready
together cost about as much as one.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

import aiohttp
import httpx2
import openai
from prometheus_client import Gauge

from b2b_chat.contract.schemas import ChatResult
from b2b_chat.gateway.breaker import Breaker
from b2b_chat.gateway.completions import StreamReader, read_whole
from b2b_chat.gateway.errors import UpstreamFailure, code_of_rejection
from b2b_chat.gateway.retries import read_retry_after
from b2b_chat.gateway.settings import GatewaySettings
from b2b_chat.kit.settings import Secret
from b2b_chat.kit.tracing import outgoing_headers

REQUEST_ID_HEADER: Final = "X-Client-Request-Id"
"""OpenAI's name for an id of ours, to be found in its logs."""

_BREAKER_OPEN = Gauge("gateway_breaker_open", "1 while a place is left alone since it failed.", ["upstream"])

_MAX_ANSWER_BYTES: Final = 33_554_432
_DRAIN_SECONDS: Final = 0.1
_TRANSPORT_ERRORS: Final = (openai.APIConnectionError, httpx2.RequestError, aiohttp.ClientError)
"""What breaks on the way. Over aiohttp the SDK calls nearly all of it a time-out, and lets some pass as it is."""
_NOT_HTTP: Final = (aiohttp.ClientResponseError, httpx2.DecodingError)
"""What answered speaks another protocol, or says of its body what is not so."""


def open_upstreams(settings: GatewaySettings) -> list["Upstream"]:
    """The places to ask, in the order of preference."""
    upstreams = [Upstream("primary", settings.openai_base_url, settings.openai_api_key, settings)]
    if settings.openai_fallback_base_url is not None and settings.openai_fallback_api_key is not None:
        upstreams.append(
            Upstream("fallback", settings.openai_fallback_base_url, settings.openai_fallback_api_key, settings)
        )
    return upstreams


class _Deadline(NamedTuple):
    at: float
    """By the event loop's clock."""
    code: str
    """What it is called when it passes."""


class Upstream:
    """One OpenAI account at one address, and whether it is worth asking."""

    def __init__(self, name: str, base_url: str, api_key: Secret, settings: GatewaySettings) -> None:
        self.name = name
        self.host = urlsplit(base_url).hostname or ""
        self.breaker = Breaker(
            failures=settings.upstream_breaker_failures, open_seconds=settings.upstream_breaker_open_seconds
        )
        _BREAKER_OPEN.labels(name).set_function(lambda: not self.breaker.is_closed)
        self._first_token_seconds = settings.upstream_first_token_timeout_seconds
        self._silence_seconds = settings.upstream_silence_timeout_seconds
        # A whole URL spares the SDK from joining one for each call.
        self._url = base_url.rstrip("/") + "/chat/completions"
        connect_seconds = settings.upstream_connect_timeout_seconds
        self._client = openai.AsyncOpenAI(
            api_key=api_key.reveal(),
            base_url=base_url,
            max_retries=0,
            timeout=httpx2.Timeout(None, connect=connect_seconds, pool=connect_seconds),
            http_client=openai.DefaultAioHttpClient(
                limits=httpx2.Limits(max_connections=settings.upstream_max_connections), follow_redirects=False
            ),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def complete(self, body: bytes, request_id: str, *, total_at: float) -> AsyncGenerator[ChatResult, None]:
        """One attempt at an answer in one piece. Closing the generator closes the call.

        Args:
            body: The request, with `stream` false.
            request_id: Sent along, for OpenAI's logs.
            total_at: When the whole call has failed, by the event loop's clock.

        Raises:
            UpstreamFailure: OpenAI gave no whole answer.
        """
        deadline = _Deadline(total_at, "upstream_timeout")
        response = await self._send(body, request_id, "application/json", deadline)
        answer = bytearray()
        with _broken_transport_is("upstream_truncated"):
            async with aclosing(response), aclosing(response.aiter_bytes()) as chunks:
                while chunk := await _next_chunk(chunks, deadline):
                    answer += chunk
                    if len(answer) > _MAX_ANSWER_BYTES:
                        raise UpstreamFailure("upstream_malformed")
        yield read_whole(bytes(answer))

    async def stream(self, body: bytes, request_id: str, *, total_at: float) -> AsyncGenerator[str | ChatResult, None]:
        """One attempt at an answer in pieces: texts as they come, ready ones joined into one, and then the result.

        Closing the generator closes the call.

        Args:
            body: The request, with `stream` true.
            request_id: Sent along, for OpenAI's logs.
            total_at: When the whole call has failed, by the event loop's clock.

        Raises:
            UpstreamFailure: OpenAI gave no answer, or not to its end.
        """
        deadline = _sooner(self._first_token_seconds, "upstream_timeout", total_at)
        response = await self._send(body, request_id, "text/event-stream", deadline)
        reader = StreamReader()
        has_begun = False
        with _broken_transport_is("upstream_truncated"):
            async with aclosing(response), aclosing(response.aiter_bytes()) as chunks:
                while not reader.is_done and (chunk := await _next_chunk(chunks, deadline)):
                    text = reader.feed(chunk)
                    if text:
                        has_begun = True
                        yield text
                    # Comments of proxies do not count as life, nor does an event before the first text.
                    if has_begun and text is not None:
                        deadline = _sooner(self._silence_seconds, "upstream_stalled", total_at)
                await _read_rest(chunks, reader)
        yield reader.result()

    async def _send(self, body: bytes, request_id: str, media_type: str, deadline: _Deadline) -> httpx2.Response:
        """Send a request and return once the headers of a good answer are here."""
        try:
            with _broken_transport_is("upstream_unreachable"):
                async with asyncio.timeout_at(deadline.at):
                    answer = await self._client.post(
                        self._url,
                        content=body,
                        cast_to=httpx2.Response,
                        stream=True,
                        stream_cls=openai.AsyncStream[object],
                        options={"headers": {REQUEST_ID_HEADER: request_id, **outgoing_headers()}},
                    )
        except TimeoutError:
            raise UpstreamFailure(deadline.code) from None
        except openai.APIStatusError as error:
            raise _rejection(error) from None
        # Asked to cast to a response, the SDK returns it unread; its types know only of streams.
        response = cast("httpx2.Response", answer)
        if not response.headers.get("content-type", "").startswith(media_type):
            await response.aclose()
            raise UpstreamFailure("upstream_malformed")
        return response


def _sooner(seconds: float, code: str, total_at: float) -> _Deadline:
    """The deadline in so many seconds, or that of the whole call where it comes first."""
    at = asyncio.get_running_loop().time() + seconds
    return _Deadline(at, code) if at < total_at else _Deadline(total_at, "upstream_timeout")


async def _next_chunk(chunks: AsyncGenerator[bytes, None], deadline: _Deadline) -> bytes:
    """All bytes that are ready, once there are any; none at the end."""
    try:
        async with asyncio.timeout_at(deadline.at):
            return await anext(chunks, b"")
    except TimeoutError:
        raise UpstreamFailure(deadline.code) from None


async def _read_rest(chunks: AsyncGenerator[bytes, None], reader: StreamReader) -> None:
    """Read what follows the end, so that the connection can be used again. It is seldom more than the end of the body.

    Nothing that happens here can spoil an answer that is complete.
    """
    with suppress(TimeoutError, UpstreamFailure, *_TRANSPORT_ERRORS):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for chunk in chunks:
                reader.feed(chunk)


@contextmanager
def _broken_transport_is(code: str) -> Iterator[None]:
    """Call what breaks on the way inside the block by this name."""
    try:
        yield
    except _NOT_HTTP as error:
        raise UpstreamFailure("upstream_malformed") from error
    except _TRANSPORT_ERRORS as error:
        raise UpstreamFailure(code) from error


def _rejection(error: openai.APIStatusError) -> UpstreamFailure:
    """The failure that a status other than 200 stands for."""
    return UpstreamFailure(
        code_of_rejection(error.status_code, (error.code, error.type)),
        retry_after_seconds=read_retry_after(error.response.headers, unix_seconds=time.time()),
    )
