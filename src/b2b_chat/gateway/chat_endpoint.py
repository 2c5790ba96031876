"""`POST /v1/chat`, whole or streamed. `openapi` describes the operation."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send
from msgspec import UNSET

from b2b_chat.contract.content import Piece, SentCalls
from b2b_chat.contract.errors import FAILURES
from b2b_chat.contract.schemas import CHAT_PATH, ChatDelta, ChatRequest, ChatResult
from b2b_chat.contract.sse import encode
from b2b_chat.gateway.errors import error_answer, send_error, send_failure, send_json
from b2b_chat.gateway.settings import GatewaySettings
from b2b_chat.gateway.upstream import OnPiece
from b2b_chat.kit.current_request import current_request_id
from b2b_chat.kit.disconnects import WhileClientStays
from b2b_chat.kit.event_stream import EventSender, send_events
from b2b_chat.kit.strict_json import decode, require_json
from b2b_chat.kit.strict_query import refuse_query

_METHOD: Final = "POST"
Answer: TypeAlias = Callable[[ChatRequest, str, OnPiece], Awaitable[ChatResult]]
"""Answers a request, as `Answers.answer` does: with the request id, and what takes the pieces on their way."""

_request_decoder = msgspec.json.Decoder(ChatRequest)
_encoder = msgspec.json.Encoder()


class ChatEndpoint:
    """ASGI layer that serves the path of chats; all other paths go on to Litestar.

    Litestar's own way to a handler and back costs a third of a call.
    """

    def __init__(self, app: ASGIApp, answer: Answer, settings: GatewaySettings) -> None:
        self._app = app
        self._answer = answer
        self._keep_alive_seconds = settings.sse_keep_alive_seconds
        self._begin_within_seconds = settings.stream_start_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != ScopeType.HTTP or scope["path"] != CHAT_PATH:
            await self._app(scope, receive, send)
            return
        scope["path_template"] = CHAT_PATH
        if scope["method"] != _METHOD:
            await send_failure(send, FAILURES["method_not_allowed"], {"Allow": _METHOD})
            return
        body = b""
        try:
            request = await _read(scope, receive)
            if not request.stream:
                with WhileClientStays(receive):
                    body = _encoder.encode(await self._answer(request, _request_id(), _ignore))
        except Exception as error:  # noqa: BLE001 - every failure has its status
            await send_error(send, error)
            return
        if request.stream:
            await self._send_stream(request, receive, send)
        else:
            await send_json(send, 200, body)

    async def _send_stream(self, request: ChatRequest, receive: Receive, send: Send) -> None:
        """Answer with the texts as they come; what has not been sent when the answer ends comes with its end."""

        async def produce(sender: EventSender) -> None:
            sent_chars, sent_calls = 0, SentCalls()

            async def send_piece(piece: Piece) -> None:
                nonlocal sent_chars
                sent_chars += len(piece.text)
                sent_calls.note(piece.calls)
                await sender.send(_events(piece))

            result = await self._answer(request, _request_id(), send_piece)
            rest = Piece(result.text[sent_chars:], sent_calls.lacking(result.calls), is_refusal=result.refusal is True)
            await sender.send(_events(rest) + encode(b"final", _encoder.encode(result)), more=False)

        sender = EventSender(
            send, keep_alive_seconds=self._keep_alive_seconds, begin_within_seconds=self._begin_within_seconds
        )
        try:
            await send_events(produce, sender, receive, _failure_event)
        except Exception as error:
            if sender.has_begun:
                raise
            await send_error(send, error)


async def _read(scope: HTTPScope, receive: Receive) -> ChatRequest:
    refuse_query(scope["query_string"])
    content_type = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    require_json(content_type.partition(b";")[0].strip().lower().decode("latin-1"))
    message: Any = await receive()  # the whole body, as the verification hands it on
    return decode(message["body"], _request_decoder)


def _request_id() -> str:
    return current_request_id.get() or ""


async def _ignore(_piece: Piece) -> None:
    """Take a piece of a whole answer, which has none on its way."""


def _events(piece: Piece) -> bytes:
    """Return a piece as the events that carry it."""
    text = b""
    if piece.text:
        text = encode(b"delta", _encoder.encode(ChatDelta(piece.text, piece.is_refusal or UNSET)))
    if not piece.calls:
        return text
    return text + b"".join(encode(b"tool_call", _encoder.encode(call)) for call in piece.calls)


def _failure_event(error: Exception) -> bytes:
    return encode(b"error", _encoder.encode(error_answer(error).body))
