"""The product's side of the border: signed calls to gateway_api."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from b2b_chat.contract.content import Piece, ToolCallPiece
from b2b_chat.contract.errors import ErrorBody
from b2b_chat.contract.schemas import CHAT_PATH, PING_PATH, PLAIN_CONTRACT, ChatDelta, ChatRequest, ChatResult, Ping
from b2b_chat.contract.signing import sign
from b2b_chat.contract.sse import Decoder, Event, EventTooLarge
from b2b_chat.kit.current_request import current_request_id
from b2b_chat.kit.deadlines import Deadline
from b2b_chat.kit.http.client import HttpClient
from b2b_chat.kit.http.errors import AnswerBroken, AnswerTooLarge, CannotConnect, ConnectTimeout, HttpError, NoAnswer
from b2b_chat.kit.http.response import Response
from b2b_chat.kit.request_id import REQUEST_ID_HEADER
from b2b_chat.kit.tracing import outgoing_headers
from b2b_chat.product.chat.answer_bounds import AnswerBounds
from b2b_chat.product.chat.failures import (
    AnswerCut,
    AnswerLost,
    GatewayRefused,
    GatewayTimeout,
    GatewayUnavailable,
)
from b2b_chat.product.chat.gateway_errors import error_in, failure_of
from b2b_chat.product.masking.requests import MaskedRequest
from b2b_chat.product.settings import ProductSettings

_SILENT: Final = "gateway_silent"
_LATE: Final = "gateway_timeout"
_SHORTEST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 1.0
OnPiece: TypeAlias = Callable[[Piece], None]
_PROXY_FAILURES: Final = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE)
"""What a proxy answers whose gateway does not listen."""


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
        self._calls = msgspec.json.Decoder(ToolCallPiece)
        self._errors = msgspec.json.Decoder(ErrorBody)
        self._pings = msgspec.json.Decoder(Ping)
        self._opened: HttpClient | None = None
        self._contract = 0
        """The form of bodies that the gateway is known to take."""

    async def open(self) -> None:
        """Make the connection pool."""
        settings = self._settings
        self._opened = HttpClient(
            settings.gateway_url,
            headers={"Content-Type": "application/json"},
            max_connections=settings.gateway_max_connections,
            connect_seconds=settings.gateway_connect_timeout_seconds,
            lost_after_seconds=settings.gateway_lost_after_seconds,
        )

    async def close(self) -> None:
        """Close the connection pool."""
        if self._opened is not None:
            self._opened.close()

    async def ping(self) -> Ping:
        """Send the gateway a signed ping.

        Raises:
            PingRefused: The gateway does not let it in; the code says why.
            AnswerFailed: It is not reached, or is no gateway.
        """
        deadline = Deadline(asyncio.get_running_loop().time() + self._settings.gateway_total_timeout_seconds, _LATE)
        with _translated(), deadline, await self._send("GET", self._ping_target, b"") as response:
            body = await response.read_all()
            if response.status == HTTPStatus.UNAUTHORIZED:
                raise PingRefused(self._errors.decode(body).error.code, response.headers.get("date"))
            if response.status != HTTPStatus.OK:
                raise failure_of(response, body)
            ping = self._pings.decode(body)
            self._contract = ping.contract
            return ping

    async def takes(self, contract: int) -> bool:
        """Return whether the gateway takes bodies of this form. It is asked once; an old one, until it is renewed.

        Raises:
            AnswerFailed: It cannot be asked.
        """
        # A gateway that does not even take plain chats makes us not ready.
        if contract <= PLAIN_CONTRACT or contract <= self._contract:
            return True
        try:
            return contract <= (await self.ping()).contract
        except PingRefused:
            raise GatewayRefused from None

    async def complete(self, request: MaskedRequest, *, deadline_at: float) -> ChatResult:
        """Ask for a whole answer.

        Args:
            request: What is asked.
            deadline_at: When it is given up, by the loop's clock. A whole answer is nothing but silence until then.

        Raises:
            AnswerFailed: There is none; the subclass says why.
        """
        bounds = AnswerBounds(request.body)
        with (
            _translated(),
            Deadline(deadline_at, _LATE) as deadline,
            await self._post_surely(request.body, deadline) as response,
        ):
            body = await response.read_all(max_bytes=bounds.body_bytes)
            return bounds.believable(self._results.decode(body))

    async def stream(self, request: MaskedRequest, on_piece: OnPiece, *, deadline_at: float) -> ChatResult:
        """Ask for an answer in pieces, and return the whole of it.

        A stream that ends without its result has failed.

        Args:
            request: What is asked.
            on_piece: Takes the pieces as they come. Texts that are ready together come as one.
            deadline_at: When it is given up, by the loop's clock.

        Raises:
            AnswerFailed: The answer cannot be had or broke off; the subclass says why.
        """
        bounds, characters = AnswerBounds(request.body), 0
        decoder = Decoder(max_event_bytes=bounds.body_bytes)

        def take(piece: Piece) -> None:
            nonlocal characters
            characters += piece.characters
            bounds.check_text(characters)
            on_piece(piece)

        with (
            _translated(),
            Deadline(deadline_at, _LATE) as deadline,
            await self._post_surely(request.body, deadline) as response,
        ):
            while chunk := await response.read():
                deadline.move(self._settings.gateway_silence_timeout_seconds, _SILENT)
                result = self._read(response, decoder.feed(chunk), take)
                if result is not None:
                    await response.drain()
                    return bounds.believable(result)
        raise AnswerLost

    def _read(self, response: Response, events: list[Event], on_piece: OnPiece) -> ChatResult | None:
        """Hand on what these events carry, joined, and return the result if they end the stream."""
        texts: list[str] = []
        calls: list[ToolCallPiece] = []
        is_refusal = False
        try:
            for event in events:
                match event.name:
                    case "delta":
                        delta = self._deltas.decode(event.data)
                        texts.append(delta.text)
                        is_refusal = is_refusal or delta.refusal is True
                    case "tool_call":
                        calls.append(self._calls.decode(event.data))
                    case "final":
                        return self._results.decode(event.data)
                    case "error":
                        raise failure_of(response, event.data)
        finally:  # whether an answer had begun decides how its failure is handled
            if texts or calls:
                on_piece(Piece("".join(texts), calls, is_refusal=is_refusal))
        return None

    async def _post_surely(self, request: ChatRequest, deadline: Deadline) -> Response:
        """Send a call, repeat it for a while where that is enough, and return the head of a good answer.

        It is repeated while an earlier call for the same message is in flight: its reply was lost, or its reader has
        just left. That call ends soon, and then the gateway replays its answer, or answers anew.

        It is also repeated while the gateway shuts down or does not listen, because a successor will start. Only kept
        connections still lead to the old gateway, which closes them soon. The successor refuses calls signed before
        its own start, so each call is signed anew.
        """
        began_at = time.monotonic()
        pause_seconds = _SHORTEST_PAUSE_SECONDS
        while True:
            if request.stream:
                deadline.move(self._settings.gateway_silence_timeout_seconds, _SILENT)
            waited_seconds = time.monotonic() - began_at
            try:
                response = await self._post_twice(request)
            except ConnectTimeout:
                raise
            except (CannotConnect, NoAnswer):  # the latter through a proxy that takes connections for a gateway
                if waited_seconds >= self._settings.gateway_restart_wait_seconds:
                    raise
            else:
                if response.status == HTTPStatus.OK:
                    return response
                with response:
                    body = await response.read_all()
                if request.avoid_upstream is not UNSET and response.status == HTTPStatus.BAD_REQUEST:
                    # A gateway of an earlier release does not know the field, and need not.
                    request = replace(request, avoid_upstream=UNSET)
                    continue
                if waited_seconds >= self._patience_seconds(response.status, body):
                    raise failure_of(response, body)
            await asyncio.sleep(pause_seconds * random.uniform(0.5, 1))  # noqa: S311 - only spreads the calls
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    def _patience_seconds(self, status: int, body: bytes) -> float:
        """Return for how long a call that was refused like this is worth sending again."""
        if status == HTTPStatus.BAD_REQUEST:
            self._contract = 0  # it may have been put back to an earlier release
        if status == HTTPStatus.CONFLICT:
            return self._settings.gateway_in_flight_wait_seconds
        error = error_in(body)
        if error is not None and error.code == "stale_timestamp":
            return self._settings.gateway_in_flight_wait_seconds
        if status in _PROXY_FAILURES and (error is None or error.code == "shutting_down"):
            return self._settings.gateway_restart_wait_seconds
        return 0.0

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


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the HTTP client and the decoders raise into this module's failures."""
    try:
        yield
    except TimeoutError as error:
        raise GatewayTimeout from error
    except AnswerBroken as error:
        raise AnswerLost from error
    except (AnswerTooLarge, msgspec.DecodeError, UnicodeDecodeError, EventTooLarge) as error:
        raise AnswerCut from error
    except HttpError as error:
        raise GatewayUnavailable from error
