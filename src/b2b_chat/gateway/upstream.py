"""OpenAI over the network: the only place that knows its SDK. One attempt, its deadlines, and how it can end.

The SDK knows how to introduce and authenticate us, and tells errors apart. The calls themselves are aiohttp's: sending
one by the SDK costs more than all the rest that is done for it. Bytes go out as msgspec made them and come back as they
were read, so that deltas which are ready together cost about as much as one.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
import openai
from aiohttp.http_exceptions import ContentEncodingError
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
        self._flush_seconds = settings.stream_flush_interval_ms / 1000
        self._connect_seconds = settings.upstream_connect_timeout_seconds
        self._max_connections = settings.upstream_max_connections
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._sdk = openai.AsyncOpenAI(api_key=api_key.reveal(), base_url=base_url)
        self._tls = httpx2.create_ssl_context()  # takes a tenth of a second, which no call should wait for
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        await self._sdk.close()
        if self._http is not None:
            await self._http.close()

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
        with _broken_transport_is("upstream_truncated"):
            async with response:
                try:
                    async with asyncio.timeout_at(deadline.at):
                        answer = await _read_all(response.content)
                except TimeoutError:
                    raise UpstreamFailure(deadline.code) from None
        yield read_whole(answer)

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
        flush_at = 0.0
        with _broken_transport_is("upstream_truncated"):
            async with response:
                content = response.content
                while not reader.is_done and (chunk := await _next_chunk(content, deadline, flush_at)):
                    text = reader.feed(chunk)
                    if text:
                        flush_at = asyncio.get_running_loop().time() + self._flush_seconds
                        yield text
                    # Comments of proxies do not count as life, nor does an event before the first text.
                    if flush_at and text is not None:
                        deadline = _sooner(self._silence_seconds, "upstream_stalled", total_at)
                await _read_rest(content, reader)
        yield reader.result()

    async def _send(self, body: bytes, request_id: str, media_type: str, deadline: _Deadline) -> aiohttp.ClientResponse:
        """Send a request and return once the headers of a good answer are here."""
        http = self._http or self._open()
        try:
            with _broken_transport_is("upstream_unreachable"):
                async with asyncio.timeout_at(deadline.at):
                    response = await http.post(
                        self._url,
                        data=body,
                        headers={REQUEST_ID_HEADER: request_id, **outgoing_headers()},
                        allow_redirects=False,
                    )
                    if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                        raise await self._rejection(response)
        except TimeoutError:
            raise UpstreamFailure(deadline.code) from None
        if not response.headers.get("content-type", "").startswith(media_type):
            response.close()
            raise UpstreamFailure("upstream_malformed")
        return response

    def _open(self) -> aiohttp.ClientSession:
        """A session that sends what the SDK would; it belongs to the running event loop."""
        headers = {**self._sdk.default_headers, **self._sdk.auth_headers}
        address = urlsplit(self._url)
        is_direct = proxy_bypass(address.netloc)
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_connections, ssl=self._tls),
            headers={name: value for name, value in headers.items() if isinstance(value, str)},
            timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=None if is_direct else getproxies().get(address.scheme),
        )
        return self._http

    async def _rejection(self, response: aiohttp.ClientResponse) -> UpstreamFailure:
        """The failure that a status other than 200 stands for."""
        async with response:
            body = await _read_all(response.content)
        request = httpx2.Request("POST", self._url)
        error = self._sdk._make_status_error_from_response(  # noqa: SLF001 - its own sending calls it, and nothing else
            httpx2.Response(response.status, content=body, request=request)
        )
        return UpstreamFailure(
            code_of_rejection(error.status_code, (error.code, error.type)),
            retry_after_seconds=read_retry_after(response.headers, unix_seconds=time.time()),
        )


def _sooner(seconds: float, code: str, total_at: float) -> _Deadline:
    """The deadline in so many seconds, or that of the whole call where it comes first."""
    at = asyncio.get_running_loop().time() + seconds
    return _Deadline(at, code) if at < total_at else _Deadline(total_at, "upstream_timeout")


async def _next_chunk(content: aiohttp.StreamReader, deadline: _Deadline, flush_at: float) -> bytes:
    """All bytes that are ready, once there are any, but not before `flush_at`; none at the end."""
    try:
        async with asyncio.timeout_at(deadline.at):
            chunk = await content.readany()
    except TimeoutError:
        raise UpstreamFailure(deadline.code) from None
    wait_seconds = flush_at - asyncio.get_running_loop().time()
    if wait_seconds > 0 and not content.is_eof():
        await asyncio.sleep(wait_seconds)
        if content.exception() is None:
            chunk += content.read_nowait()
    return chunk


async def _read_all(content: aiohttp.StreamReader) -> bytes:
    """All bytes there are."""
    body = bytearray()
    while chunk := await content.readany():
        body += chunk
        if len(body) > _MAX_ANSWER_BYTES:
            raise UpstreamFailure("upstream_malformed")
    return bytes(body)


async def _read_rest(content: aiohttp.StreamReader, reader: StreamReader) -> None:
    """Read what follows the end, so that the connection can be used again. It is seldom more than the end of the body.

    Nothing that happens here can spoil an answer that is complete.
    """
    if content.at_eof():
        return
    with suppress(TimeoutError, UpstreamFailure, aiohttp.ClientError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while chunk := await content.readany():
                reader.feed(chunk)


@contextmanager
def _broken_transport_is(code: str) -> Iterator[None]:
    """Call what breaks on the way inside the block by this name."""
    try:
        yield
    except aiohttp.ClientError as error:
        raise UpstreamFailure("upstream_malformed" if _is_not_http(error) else code) from error


def _is_not_http(error: aiohttp.ClientError) -> bool:
    """Whether what answered speaks another protocol, or says of its body what is not so."""
    return isinstance(error, aiohttp.ClientResponseError) or isinstance(error.__cause__, ContentEncodingError)
