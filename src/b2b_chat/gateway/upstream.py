"""OpenAI over the network: the only module that knows its SDK. One attempt, its deadlines, and how it can end.

The SDK supplies the headers, credentials among them; sending by it would cost more than all the rest that is done for a
call. Bytes go out as msgspec made them and come back as they were read, so that deltas which are ready together cost
about as much as one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final, TypeAlias
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2
import openai

from b2b_chat.contract.content import Piece
from b2b_chat.contract.errors import Code
from b2b_chat.contract.schemas import ChatResult
from b2b_chat.gateway.breaker import Breaker
from b2b_chat.gateway.errors import UpstreamFailure
from b2b_chat.gateway.openai_wire import StreamReader, read_whole
from b2b_chat.gateway.rejections import code_of_rejection, param_of_rejection
from b2b_chat.gateway.retries import read_retry_after
from b2b_chat.gateway.settings import GatewaySettings
from b2b_chat.kit.deadlines import Deadline, DeadlinePassed
from b2b_chat.kit.http.client import HttpClient
from b2b_chat.kit.http.errors import AnswerBroken, AnswerTooLarge, HttpError, NotHttp
from b2b_chat.kit.http.response import Response
from b2b_chat.kit.settings import Secret
from b2b_chat.kit.tracing import outgoing_headers

REQUEST_ID_HEADER: Final = "X-Client-Request-Id"
"""OpenAI's name for an id of ours, to be found in its logs."""

_TIMEOUT: Final[Code] = "upstream_timeout"
_STALLED: Final[Code] = "upstream_stalled"
_ABOUT_A_FIELD: Final[frozenset[Code]] = frozenset({"upstream_rejected", "upstream_unprocessable"})
_NO_FIRST_TEXT: Final = "no_first_text"
_READABLE_TYPES: Final = {"", "text/event-stream", "text/plain", "application/octet-stream"}
"""Of good answers, beside all kinds of JSON. The body itself decides; a proxy's page is no answer."""

OnPiece: TypeAlias = Callable[[Piece], Awaitable[None]]
"""Takes the pieces of a streamed answer in order. What arrives with the end is only in the result."""


def open_upstreams(settings: GatewaySettings) -> list["Upstream"]:
    """Return the upstreams to ask, in the order of preference."""
    upstreams = [Upstream("primary", settings.openai_base_url, settings.openai_api_key, settings)]
    if settings.openai_fallback_base_url is not None and settings.openai_fallback_api_key is not None:
        upstreams.append(
            Upstream("fallback", settings.openai_fallback_base_url, settings.openai_fallback_api_key, settings)
        )
    return upstreams


class Upstream:
    """One OpenAI account at one address, and whether it is worth asking."""

    def __init__(self, name: str, base_url: str, api_key: Secret, settings: GatewaySettings) -> None:
        self.name = name
        self._url = urlsplit(base_url.rstrip("/") + "/chat/completions")
        self.host = self._url.hostname or ""
        self.breaker = Breaker(
            failures=settings.upstream_breaker_failures, open_seconds=settings.upstream_breaker_open_seconds
        )
        self._silence_seconds = settings.upstream_silence_timeout_seconds
        self._flush_seconds = settings.stream_flush_interval_ms / 1000
        self._target = f"{self._url.path}?{self._url.query}" if self._url.query else self._url.path
        self._sdk = openai.AsyncOpenAI(api_key=api_key.reveal(), base_url=base_url)
        self._http = self._client(settings)

    async def close(self) -> None:
        """Close the connections."""
        await self._sdk.close()
        self._http.close()

    async def complete(self, body: bytes, request_id: str, *, total_at: float) -> ChatResult:
        """Make one attempt at an answer in one piece. Cancelling it closes the call.

        Args:
            body: The request, with `stream` false.
            request_id: Sent along, for OpenAI's logs.
            total_at: When the whole call has failed, by the event loop's clock.

        Raises:
            UpstreamFailure: OpenAI gave no whole answer.
        """
        try:
            with Deadline(total_at, _TIMEOUT), await self._send(body, request_id) as response:
                await self._expect_answer(response)
                return read_whole(await response.read_all())
        except (HttpError, DeadlinePassed) as error:
            raise _failure(error) from error

    async def stream(
        self, body: bytes, request_id: str, on_piece: OnPiece, *, first_token_seconds: float, total_at: float
    ) -> ChatResult:
        """Make one attempt at an answer in pieces, and return the whole of it. Cancelling it closes the call.

        Args:
            body: The request, with `stream` true.
            request_id: Sent along, for OpenAI's logs.
            on_piece: Takes the pieces as they arrive, ready ones joined into one; not what arrives with the end.
            first_token_seconds: How long the first text may take.
            total_at: When the whole call has failed, by the event loop's clock.

        Raises:
            UpstreamFailure: OpenAI gave no answer, or not to its end.
        """
        reader = StreamReader()
        try:
            with Deadline(total_at, _TIMEOUT) as deadline:
                deadline.move(first_token_seconds, _NO_FIRST_TEXT)
                with await self._send(body, request_id) as response:
                    await self._expect_answer(response)
                    await self._pass_on(response, reader, on_piece, deadline)
                    await _read_rest(response, reader)
        except (HttpError, DeadlinePassed) as error:
            raise _failure(error) from error
        return reader.result()

    async def _pass_on(self, response: Response, reader: StreamReader, on_piece: OnPiece, deadline: Deadline) -> None:
        """Read the answer to its end, and pass its pieces on."""
        chunks = _Chunks(response, self._flush_seconds)
        has_begun = False
        while not reader.is_done:
            chunk = await chunks.next()
            if not chunk:
                reader.end()
                return
            text = reader.feed(chunk)
            calls = reader.take_calls()
            if (text or calls) and not reader.is_done:
                has_begun = True
                chunks.passed_on()
                deadline.is_suspended = True
                await on_piece(Piece(text or "", calls, reader.is_refusal))
                deadline.is_suspended = False
            # Comments of proxies do not count as life, nor does an event before the first text.
            if has_begun and text is not None:
                deadline.move(self._silence_seconds, _STALLED)

    async def _send(self, body: bytes, request_id: str) -> Response:
        return await self._http.send("POST", self._target, {REQUEST_ID_HEADER: request_id, **outgoing_headers()}, body)

    async def _expect_answer(self, response: Response) -> None:
        """Check that this is the head of a good answer."""
        if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
            raise await _rejection(response)
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in _READABLE_TYPES and "json" not in media_type:
            raise UpstreamFailure("upstream_malformed")

    def _client(self, settings: GatewaySettings) -> HttpClient:
        """Return a client that sends the headers of the SDK."""
        headers = {**self._sdk.default_headers, **self._sdk.auth_headers}
        is_direct = proxy_bypass(self._url.netloc)
        return HttpClient(
            self._url.geturl(),
            headers={name: value for name, value in headers.items() if isinstance(value, str)},
            max_connections=settings.upstream_max_connections,
            connect_seconds=settings.upstream_connect_timeout_seconds,
            lost_after_seconds=settings.upstream_lost_after_seconds,
            tls=httpx2.create_ssl_context(),
            proxy=None if is_direct else getproxies().get(self._url.scheme),
        )


class _Chunks:
    """The bytes of a streamed body: all that are ready, once there are any, but some time after those before.

    The bytes of a stream that turns out to be quick gather in the kernel for that time.
    """

    def __init__(self, response: Response, flush_seconds: float) -> None:
        self._response = response
        self._flush_seconds = flush_seconds
        self._flush_at = 0.0
        self._is_quick = False
        self._time = asyncio.get_running_loop().time

    def passed_on(self) -> None:
        """Take note that there was a text in what was read, which is on its way."""
        if self._flush_seconds:
            # Where one interval ends all streams', so that the process wakes up once for all that are quick.
            self._flush_at = (self._time() // self._flush_seconds + 1) * self._flush_seconds

    async def next(self) -> bytes:
        """Return the next bytes; none at the end."""
        if self._is_quick:
            await self._gather()
            chunk = await self._response.read()
            self._is_quick = self._time() < self._flush_at + self._flush_seconds
            return chunk
        chunk = await self._response.read()
        if self._time() < self._flush_at and not self._response.is_complete:
            self._is_quick = True
            await self._gather()
            chunk += self._response.read_ready()
        return chunk

    async def _gather(self) -> None:
        wait_seconds = self._flush_at - self._time()
        if wait_seconds > 0 and not self._response.is_complete:
            await self._response.gather(wait_seconds)


def _failure(error: HttpError | DeadlinePassed) -> UpstreamFailure:
    """Return the vocabulary's name for a failure on the way."""
    match error:
        case DeadlinePassed(code="upstream_stalled"):
            return UpstreamFailure(_STALLED)
        case DeadlinePassed():
            return UpstreamFailure(_TIMEOUT, has_waited=error.code == _NO_FIRST_TEXT)
        case NotHttp() | AnswerTooLarge():
            return UpstreamFailure("upstream_malformed")
        case AnswerBroken():
            return UpstreamFailure("upstream_truncated")
    return UpstreamFailure("upstream_unreachable")


async def _rejection(response: Response) -> UpstreamFailure:
    """Return the failure that a status other than 200 stands for; where its body breaks, the status alone counts."""
    try:
        body = await response.read_all()
    except (AnswerBroken, AnswerTooLarge):
        body = b""
    failure = UpstreamFailure(
        code_of_rejection(response.status, body),
        retry_after_seconds=read_retry_after(response.headers, unix_seconds=time.time()),
    )
    if failure.code in _ABOUT_A_FIELD:
        failure.param = param_of_rejection(body)
    return failure


async def _read_rest(response: Response, reader: StreamReader) -> None:
    """Read what follows the end, which may be the usage, so that the connection can be used again."""
    rest = await response.drain()
    if rest:
        with suppress(UpstreamFailure):  # it cannot spoil an answer that is complete
            reader.feed(rest)
