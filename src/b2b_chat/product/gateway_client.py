"""The product's side of the border: signed calls to gateway_api, and what its failures mean to a client.

AnswerFailed
├── GatewayUnavailable     503  not reached, shutting down, or its upstream is failing; try again
├── GatewayTimeout         504  no answer in time; try again
├── AnswerCut              502  the answer broke off; try again
├── GatewayRefused         502  the gateway turned the call away: a fault of this installation
├── ContextLengthExceeded  422  the conversation is longer than the model can read
└── ContentFiltered        422  the model's content filter stopped the conversation
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Final

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from b2b_chat.contract.errors import ErrorBody
from b2b_chat.contract.schemas import CHAT_PATH, PING_PATH, ChatDelta, ChatRequest, ChatResult, Ping
from b2b_chat.contract.signing import sign
from b2b_chat.contract.sse import Decoder, Event, EventTooLarge
from b2b_chat.kit.errors import Refusal
from b2b_chat.kit.request_id import REQUEST_ID_HEADER, current_request_id
from b2b_chat.kit.tracing import outgoing_headers

_MAX_EVENT_BYTES: Final = 8 * 1024 * 1024
_DRAIN_SECONDS: Final = 0.1
_IN_FLIGHT_PAUSE_SECONDS: Final = 0.2


class AnswerFailed(Refusal):
    """No answer to a message that was accepted. It costs nothing, and may be sent again under the same id."""


class GatewayUnavailable(AnswerFailed):
    """The gateway or its upstream cannot answer now."""

    code, status = "gateway_unavailable", 503
    message = "The model cannot be reached now. Send the message again with the same client_message_id."

    def __init__(self, retry_after_seconds: str = "2") -> None:
        super().__init__(headers={"Retry-After": retry_after_seconds})


class GatewayTimeout(AnswerFailed):
    """The answer did not come in time."""

    code, status = "gateway_timeout", 504
    message = "The model did not answer in time. Send the message again with the same client_message_id."


class AnswerCut(AnswerFailed):
    """The answer ended without its end."""

    code, status = "answer_cut", 502
    message = "The answer broke off. Send the message again with the same client_message_id."


class GatewayRefused(AnswerFailed):
    """The gateway does not accept this installation's calls, or OpenAI does not accept the gateway's."""

    code, status = "gateway_refused", 502
    message = "The gateway cannot serve this installation. Its operator finds the reason in the gateway's log."


class ContextLengthExceeded(AnswerFailed):
    """Too much text for the model."""

    code, status = "context_length_exceeded", 422
    message = "The conversation is longer than the model can read. Shorten the message or start a new conversation."


class ContentFiltered(AnswerFailed):
    """The content filter stopped the conversation."""

    code, status = "content_filtered", 422
    message = "The model's content filter stopped this conversation. Rephrase the message."


class PingRefused(Exception):
    """The gateway does not take our signature; `code` is its word for why, `date` its clock's, as HTTP writes it."""

    def __init__(self, code: str, date: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.date = date


class GatewayOptions(Struct, frozen=True):
    """Where the gateway is and how long it may take."""

    url: str
    shared_secret: bytes
    connect_timeout_seconds: float
    silence_timeout_seconds: float
    total_timeout_seconds: float
    in_flight_wait_seconds: float
    max_connections: int


class GatewayClient:
    """Calls gateway_api. Open it before use; close it at the end."""

    def __init__(self, options: GatewayOptions) -> None:
        self._options = options
        self._url = URL(options.url.rstrip("/") + CHAT_PATH, encoded=True)
        self._encoder = msgspec.json.Encoder()
        self._results = msgspec.json.Decoder(ChatResult)
        self._deltas = msgspec.json.Decoder(ChatDelta)
        self._errors = msgspec.json.Decoder(ErrorBody)
        self._pings = msgspec.json.Decoder(Ping)
        # A stream is never silent for long; a whole answer is nothing but silence until it is there.
        self._whole_timeout = aiohttp.ClientTimeout(
            total=options.total_timeout_seconds, sock_connect=options.connect_timeout_seconds
        )
        self._stream_timeout = aiohttp.ClientTimeout(
            total=options.total_timeout_seconds,
            sock_connect=options.connect_timeout_seconds,
            sock_read=options.silence_timeout_seconds,
        )
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the connection pool."""
        options = self._options
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=options.max_connections),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close the connection pool."""
        if self._session is not None:
            await self._session.close()

    async def ping(self) -> Ping:
        """Ask who is there, by a signed call.

        Raises:
            PingRefused: The gateway does not let it in; the code says why.
            AnswerFailed: It is not reached, or is no gateway.
        """
        url = URL(self._options.url.rstrip("/") + PING_PATH, encoded=True)
        headers = sign(self._options.shared_secret, "GET", url.raw_path_qs, b"", unix_seconds=int(time.time()))
        headers.update(outgoing_headers())
        with _translated():
            async with self._opened().get(
                url, headers=headers, allow_redirects=False, timeout=self._whole_timeout
            ) as response:
                body = await response.read()
                if response.status == HTTPStatus.UNAUTHORIZED:
                    raise PingRefused(self._errors.decode(body).error.code, response.headers.get("Date"))
                await self._expect_ok(response)
                return self._pings.decode(body)

    async def complete(self, request: ChatRequest) -> ChatResult:
        """Ask for a whole answer.

        Raises:
            AnswerFailed: There is none; the subclass says why.
        """
        with _translated():
            async with await self._post_surely(request) as response:
                await self._expect_ok(response)
                return self._results.decode(await response.read())

    async def stream(self, request: ChatRequest) -> AsyncGenerator[str | ChatResult, None]:
        """Ask for an answer in pieces: texts, and at the end the whole result.

        A stream that ends without its result has failed. Pieces that are ready together come as one.

        Raises:
            AnswerFailed: The answer cannot be had or broke off; the subclass says why.
        """
        decoder = Decoder(max_event_bytes=_MAX_EVENT_BYTES)
        with _translated():
            async with await self._post_surely(request) as response:
                await self._expect_ok(response)
                async for chunk in response.content.iter_any():
                    text, result = self._read(decoder.feed(chunk))
                    if text:
                        yield text
                    if result is not None:
                        await _read_rest(response)
                        yield result
                        return
        raise AnswerCut

    def _read(self, events: list[Event]) -> tuple[str, ChatResult | None]:
        """The text that these events carry, joined, and the result if they end the stream."""
        pieces: list[str] = []
        for event in events:
            match event.name:
                case "delta":
                    pieces.append(self._deltas.decode(event.data).text)
                case "final":
                    return "".join(pieces), self._results.decode(event.data)
                case "error":
                    raise self._failure(event.data, None)
        return "".join(pieces), None

    async def _expect_ok(self, response: aiohttp.ClientResponse) -> None:
        if response.status != HTTPStatus.OK:
            raise self._failure(await response.read(), response.headers.get("Retry-After"))

    async def _post_surely(self, request: ChatRequest) -> aiohttp.ClientResponse:
        """Send a call, and again for a while where an earlier call for the same message is still under way.

        Such a call is one whose reply was lost, or whose reader left a moment ago: it ends soon, and then the gateway
        has its answer, or answers anew.

        A gateway that is shutting down has a successor, or will have: only connections that we kept still lead to it,
        and it closes them soon.
        """
        give_up_at = time.monotonic() + self._options.in_flight_wait_seconds
        while True:
            response = await self._post_twice(request)
            if time.monotonic() > give_up_at:
                return response
            if response.status != HTTPStatus.CONFLICT and not await self._is_shutting_down(response):
                return response
            response.release()
            await asyncio.sleep(_IN_FLIGHT_PAUSE_SECONDS)

    async def _is_shutting_down(self, response: aiohttp.ClientResponse) -> bool:
        if response.status != HTTPStatus.SERVICE_UNAVAILABLE:
            return False
        try:
            return self._errors.decode(await response.read()).error.code == "shutting_down"
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False

    async def _post_twice(self, request: ChatRequest) -> aiohttp.ClientResponse:
        """Send a call, and once more where its connection was closed before a word of the answer.

        A gateway that restarts closes the connections that we kept, at times just as we use one. Should it have begun
        with the call all the same, it knows the second one by the message's id.
        """
        try:
            return await self._post(request)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            return await self._post(request)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the gateway client was not opened")
        return self._session

    def _post(self, request: ChatRequest) -> aiohttp.client._RequestContextManager:
        body = self._encoder.encode(request)
        headers = sign(self._options.shared_secret, "POST", self._url.raw_path_qs, body, unix_seconds=int(time.time()))
        headers["Content-Type"] = "application/json"
        headers["Accept-Encoding"] = "identity"  # bodies are read as they come
        request_id = current_request_id.get()
        if request_id is not None:
            headers[REQUEST_ID_HEADER] = request_id
        headers.update(outgoing_headers())
        timeout = self._stream_timeout if request.stream else self._whole_timeout
        return self._opened().post(self._url, data=body, headers=headers, allow_redirects=False, timeout=timeout)

    def _failure(self, body: bytes, retry_after: str | None) -> AnswerFailed:
        try:
            detail = self._errors.decode(body).error
        except (msgspec.DecodeError, UnicodeDecodeError):
            # Not the gateway's own words: a proxy in between, or not a gateway at all.
            return GatewayUnavailable()
        match detail.code:
            case "context_length_exceeded":
                return ContextLengthExceeded()
            case "content_filtered":
                return ContentFiltered()
            case "upstream_timeout" | "upstream_stalled":
                return GatewayTimeout()
            case "upstream_truncated" | "upstream_malformed":
                return AnswerCut()
        if detail.retryable:
            return GatewayUnavailable(retry_after) if retry_after else GatewayUnavailable()
        return GatewayRefused()


async def _read_rest(response: aiohttp.ClientResponse) -> None:
    """Read the end of the body, which may come a moment after the result, so that the connection can be used again.

    Nothing that happens here can spoil an answer that is complete.
    """
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in response.content.iter_any():
                pass


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the HTTP client and the decoders raise into this module's failures."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise GatewayUnavailable from error
    except TimeoutError as error:
        raise GatewayTimeout from error
    except (aiohttp.ClientPayloadError, msgspec.DecodeError, UnicodeDecodeError, EventTooLarge) as error:
        raise AnswerCut from error
    except (aiohttp.ClientError, OSError) as error:
        raise GatewayUnavailable from error
