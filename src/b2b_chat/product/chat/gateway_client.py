"""The product's side of the border: signed calls to gateway_api."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import msgspec

from b2b_chat.contract.errors import ACCOUNT_FAULTS, Code, ErrorBody, failure_named
from b2b_chat.contract.schemas import CHAT_PATH, PING_PATH, ChatDelta, ChatRequest, ChatResult, Ping
from b2b_chat.contract.signing import sign
from b2b_chat.contract.sse import Decoder, Event, EventTooLarge
from b2b_chat.kit.current_request import current_request_id
from b2b_chat.kit.deadlines import Deadline
from b2b_chat.kit.http.client import HttpClient
from b2b_chat.kit.http.errors import AnswerBroken, AnswerTooLarge, HttpError, NoAnswer
from b2b_chat.kit.http.response import Response
from b2b_chat.kit.request_id import REQUEST_ID_HEADER
from b2b_chat.kit.tracing import outgoing_headers
from b2b_chat.product.chat.answer_bounds import AnswerBounds
from b2b_chat.product.chat.failures import (
    AnswerCut,
    AnswerDefect,
    AnswerEmpty,
    AnswerFailed,
    ContentFiltered,
    ContextLengthExceeded,
    GatewayRefused,
    GatewayTimeout,
    GatewayUnavailable,
    MessageRejected,
    ModelUnavailable,
)
from b2b_chat.product.settings import ProductSettings

_SILENT: Final = "gateway_silent"
_IN_FLIGHT_PAUSE_SECONDS: Final = 0.2
_STATUSES_OF_RESTARTS: Final = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.UNAUTHORIZED})
_CODES_OF_RESTARTS: Final = frozenset({"shutting_down", "stale_timestamp"})


_FAILURES: Final[Mapping[Code, type[AnswerFailed]]] = {
    "context_length_exceeded": ContextLengthExceeded,
    "body_too_large": ContextLengthExceeded,
    "upstream_payload_too_large": ContextLengthExceeded,
    "content_filtered": ContentFiltered,
    "upstream_rejected": MessageRejected,
    "upstream_unprocessable": MessageRejected,
    "idempotency_mismatch": MessageRejected,
    "upstream_timeout": GatewayTimeout,
    "upstream_stalled": GatewayTimeout,
    "upstream_truncated": AnswerCut,
    "upstream_malformed": AnswerCut,
    "upstream_empty": AnswerEmpty,
    "internal_error": AnswerDefect,
    **dict.fromkeys(ACCOUNT_FAULTS, ModelUnavailable),
}
"""What the gateway's codes mean where they say more than whether a call may succeed later."""


class PingRefused(Exception):
    """The gateway does not take our signature; `code` is its word for why, `date` its clock's, as HTTP writes it."""

    def __init__(self, code: str, date: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.date = date


class GatewayClient:
    """Calls gateway_api. Open it before use; close it at the end."""

    def __init__(self, settings: ProductSettings) -> None:
        self._settings = settings
        self._shared_secret = settings.gateway_shared_secret.reveal().encode()
        base = urlsplit(settings.gateway_url.rstrip("/"))
        self._chat_target = base.path + CHAT_PATH
        self._ping_target = base.path + PING_PATH
        self._encoder = msgspec.json.Encoder()
        self._results = msgspec.json.Decoder(ChatResult)
        self._deltas = msgspec.json.Decoder(ChatDelta)
        self._errors = msgspec.json.Decoder(ErrorBody)
        self._pings = msgspec.json.Decoder(Ping)
        self._opened: HttpClient | None = None

    async def open(self) -> None:
        """Make the connection pool."""
        settings = self._settings
        self._opened = HttpClient(
            settings.gateway_url,
            headers={"Content-Type": "application/json"},
            max_connections=settings.gateway_max_connections,
            connect_seconds=settings.gateway_connect_timeout_seconds,
        )

    async def close(self) -> None:
        """Close the connection pool."""
        if self._opened is not None:
            self._opened.close()

    async def ping(self) -> Ping:
        """Ask who is there, by a signed call.

        Raises:
            PingRefused: The gateway does not let it in; the code says why.
            AnswerFailed: It is not reached, or is no gateway.
        """
        with _translated(), self._deadline(), await self._send("GET", self._ping_target, b"") as response:
            body = await response.read_all()
            if response.status == HTTPStatus.UNAUTHORIZED:
                raise PingRefused(self._errors.decode(body).error.code, response.headers.get("date"))
            if response.status != HTTPStatus.OK:
                raise self._failure(response, body)
            return self._pings.decode(body)

    async def complete(self, request: ChatRequest) -> ChatResult:
        """Ask for a whole answer.

        Raises:
            AnswerFailed: There is none; the subclass says why.
        """
        bounds = AnswerBounds(request)
        with _translated(), self._deadline() as deadline, await self._post_surely(request, deadline) as response:
            body = await response.read_all(max_bytes=bounds.body_bytes)
            return bounds.believable(self._results.decode(body))

    async def stream(self, request: ChatRequest, on_text: Callable[[str], None]) -> ChatResult:
        """Ask for an answer in pieces, and return the whole of it.

        A stream that ends without its result has failed.

        Args:
            request: What is asked.
            on_text: Takes the texts as they come. Those that are ready together come as one.

        Raises:
            AnswerFailed: The answer cannot be had or broke off; the subclass says why.
        """
        bounds, characters = AnswerBounds(request), 0
        decoder = Decoder(max_event_bytes=bounds.body_bytes)
        with _translated(), self._deadline() as deadline, await self._post_surely(request, deadline) as response:
            while chunk := await response.read():
                deadline.move(self._settings.gateway_silence_timeout_seconds, _SILENT)
                text, result = self._read(response, decoder.feed(chunk))
                if text:
                    characters += len(text)
                    bounds.check_text(characters)
                    on_text(text)
                if result is not None:
                    await response.drain()
                    return bounds.believable(result)
        raise AnswerCut

    def _read(self, response: Response, events: list[Event]) -> tuple[str, ChatResult | None]:
        """The text that these events carry, joined, and the result if they end the stream."""
        pieces: list[str] = []
        for event in events:
            match event.name:
                case "delta":
                    pieces.append(self._deltas.decode(event.data).text)
                case "final":
                    return "".join(pieces), self._results.decode(event.data)
                case "error":
                    raise self._failure(response, event.data)
        return "".join(pieces), None

    def _deadline(self) -> Deadline:
        """For a whole call, connecting included. A whole answer is nothing but silence until it is there."""
        total_at = asyncio.get_running_loop().time() + self._settings.gateway_total_timeout_seconds
        return Deadline(total_at, "gateway_timeout")

    async def _post_surely(self, request: ChatRequest, deadline: Deadline) -> Response:
        """Send a call and return the head of a good answer. Send it again for a while where that is all it takes.

        That is where an earlier call for the same message is still under way: one whose reply was lost, or whose reader
        left a moment ago. It ends soon, and then the gateway has its answer, or answers anew.

        And a gateway that is shutting down has a successor, or will have: only connections that we kept still lead to
        it, and it closes them soon. Its successor refuses what was signed before its own start, so each call is signed
        anew.
        """
        give_up_at = time.monotonic() + self._settings.gateway_in_flight_wait_seconds
        while True:
            if request.stream:
                deadline.move(self._settings.gateway_silence_timeout_seconds, _SILENT)
            response = await self._post_twice(request)
            if response.status == HTTPStatus.OK:
                return response
            with response:
                body = await response.read_all()
            if time.monotonic() > give_up_at or not self._is_over_soon(response.status, body):
                raise self._failure(response, body)
            await asyncio.sleep(_IN_FLIGHT_PAUSE_SECONDS)

    def _is_over_soon(self, status: int, body: bytes) -> bool:
        if status == HTTPStatus.CONFLICT:
            return True
        if status not in _STATUSES_OF_RESTARTS:
            return False
        try:
            return self._errors.decode(body).error.code in _CODES_OF_RESTARTS
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False

    async def _post_twice(self, request: ChatRequest) -> Response:
        """Send a call, and once more where its connection was closed before a word of the answer.

        A gateway that restarts closes the connections that we kept, at times just as we use one. Should it have begun
        with the call all the same, it knows the second one by the message's id.
        """
        body = self._encoder.encode(request)
        try:
            return await self._send("POST", self._chat_target, body)
        except NoAnswer:
            return await self._send("POST", self._chat_target, body)

    async def _send(self, method: str, target: str, body: bytes) -> Response:
        if self._opened is None:
            raise RuntimeError("the gateway client was not opened")
        headers = sign(self._shared_secret, method, target, body, unix_seconds=int(time.time()))
        request_id = current_request_id.get()
        if request_id is not None:
            headers[REQUEST_ID_HEADER] = request_id
        headers.update(outgoing_headers())
        return await self._opened.send(method, target, headers, body)

    def _failure(self, response: Response, body: bytes) -> AnswerFailed:
        """Return what an error of the gateway means to a client."""
        try:
            detail = self._errors.decode(body).error
        except (msgspec.DecodeError, UnicodeDecodeError):
            # Not the gateway's own words: a proxy in between, or not a gateway at all.
            too_large = response.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            return ContextLengthExceeded() if too_large else GatewayUnavailable()
        known = failure_named(detail.code)
        if known is not None and known.code in _FAILURES:
            return _FAILURES[known.code]()
        if detail.retryable:
            retry_after = response.headers.get("retry-after")
            return GatewayUnavailable(retry_after) if retry_after else GatewayUnavailable()
        return GatewayRefused()


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the HTTP client and the decoders raise into this module's failures."""
    try:
        yield
    except TimeoutError as error:
        raise GatewayTimeout from error
    except (AnswerBroken, AnswerTooLarge, msgspec.DecodeError, UnicodeDecodeError, EventTooLarge) as error:
        raise AnswerCut from error
    except HttpError as error:
        raise GatewayUnavailable from error
