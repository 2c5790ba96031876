"""The operations of gateway_api: parse, call, return."""

from functools import partial
from importlib.metadata import version
from typing import Annotated, Any, Final

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import Body, SkipValidation
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Struct

from b2b_chat.contract.schemas import (
    CHAT_PATH,
    CONTRACT_VERSION,
    MODEL_GPT_5_2,
    PING_PATH,
    ChatRequest,
    ChatResult,
    Ping,
)
from b2b_chat.gateway.answers import Answers
from b2b_chat.gateway.openapi import CHAT_CODES, DOOR_CODES, REQUEST_EXAMPLE, StreamingOperation, documented
from b2b_chat.gateway.streaming import send_stream
from b2b_chat.kit.clock import Clock
from b2b_chat.kit.disconnects import WhileClientStays
from b2b_chat.kit.request_id import current_request_id
from b2b_chat.kit.strict_json import decode, require_json

_VERSION: Final = version("b2b-chat")
_request_decoder = msgspec.json.Decoder(ChatRequest)
_encoder = msgspec.json.Encoder()


class Gateway(Struct, frozen=True):
    """What the handlers work with. It is one dependency, since Litestar starts a task for each where there are more."""

    answers: Answers
    clock: Clock
    keep_alive_seconds: float
    stream_start_seconds: float


GivenGateway = NamedDependency[SkipValidation[Gateway]]


@get(PING_PATH, operation_id="ping", tags=["internal"], responses=documented(DOOR_CODES), sync_to_thread=False)
def ping(gateway: GivenGateway) -> Ping:
    """Tell version, model and time: one signed call shows a wrong secret or a skewed clock."""
    return Ping(
        version=_VERSION, model=MODEL_GPT_5_2, server_time=int(gateway.clock().timestamp()), contract=CONTRACT_VERSION
    )


def answering(app: ASGIApp) -> ASGIApp:  # noqa: ARG001 - the app would be the handler
    """Litestar's middleware that answers chats itself: its own way to a handler and back costs a third of a call."""
    return _answer


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    """What `chat` describes."""
    gateway: Gateway = scope["litestar_app"].state.gateway
    content_type = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    require_json(content_type.partition(b";")[0].strip().lower().decode("latin-1"))
    message: Any = await receive()  # the whole body, as the verification hands it on
    request = decode(message["body"], _request_decoder)
    answer = partial(gateway.answers.answer, request, current_request_id.get() or "")
    if request.stream:
        await send_stream(
            answer,
            receive,
            send,
            start_seconds=gateway.stream_start_seconds,
            keep_alive_seconds=gateway.keep_alive_seconds,
        )
        return
    with WhileClientStays(receive):
        result = await answer(_unheard)
    body = _encoder.encode(result)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _unheard(_text: str) -> None:
    """A whole answer has no pieces."""


@post(
    CHAT_PATH,
    status_code=200,
    operation_id="createChat",
    operation_class=StreamingOperation,
    response_description="The answer: JSON, or a stream of events where `stream` is true.",
    tags=["chat"],
    responses=documented(CHAT_CODES),
    middleware=[answering],
)
async def chat(data: Annotated[ChatRequest, Body(examples=[REQUEST_EXAMPLE])]) -> ChatResult:
    """Answer a conversation's last message.

    A call that fails soon and before the first text of its answer is answered with the error's own status, streamed or
    not; once a stream has begun, it tells the error as an event.
    """
    raise NotImplementedError(f"{answering.__name__} stands before this, which describes it")
