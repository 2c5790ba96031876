"""The operations of gateway_api: parse, call, return."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from importlib.metadata import version
from typing import Annotated, Any, Final

import msgspec
import structlog
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import Body, SkipValidation
from litestar.types import Receive
from msgspec import Struct

from b2b_chat.contract.errors import FAILURES
from b2b_chat.contract.schemas import CHAT_PATH, MODEL_GPT_5_2, PING_PATH, ChatDelta, ChatRequest, ChatResult, Ping
from b2b_chat.contract.sse import encode
from b2b_chat.gateway.answers import Answers, Pieces
from b2b_chat.gateway.errors import ClientLeft, UpstreamFailure
from b2b_chat.gateway.openapi import CHAT_CODES, DOOR_CODES, REQUEST_EXAMPLE, StreamingOperation, documented
from b2b_chat.kit.clock import Clock
from b2b_chat.kit.event_stream import EventStream, race
from b2b_chat.kit.request_id import current_request_id

_VERSION: Final = version("b2b-chat")
_encoder = msgspec.json.Encoder()
log = structlog.get_logger(__name__)


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
    return Ping(version=_VERSION, model=MODEL_GPT_5_2, server_time=int(gateway.clock().timestamp()))


@post(
    CHAT_PATH,
    status_code=200,
    operation_id="createChat",
    operation_class=StreamingOperation,
    response_description="The answer: JSON, or a stream of events where `stream` is true.",
    tags=["chat"],
    responses=documented(CHAT_CODES),
)
async def chat(
    request: Request[Any, Any, Any],
    data: Annotated[ChatRequest, Body(examples=[REQUEST_EXAMPLE])],
    gateway: GivenGateway,
) -> Response[ChatResult]:
    """Answer a conversation's last message.

    A call that fails soon and before the first text of its answer is answered with the error's own status, streamed or
    not; once a stream has begun, it tells the error as an event.
    """
    pieces = gateway.answers.answer(data, current_request_id.get() or "")
    if data.stream:
        first = await _begun(pieces, request.receive, gateway.stream_start_seconds)
        return EventStream(_events(first, pieces), keep_alive_seconds=gateway.keep_alive_seconds)
    async with aclosing(pieces):
        result: Any = await _first(pieces, request.receive)
        return Response(result)


async def _first(pieces: Pieces, receive: Receive) -> str | ChatResult:
    """The first piece of an answer.

    Raises:
        ClientLeft: Nobody waits for it any more; the call to OpenAI is closed.
        UpstreamFailure: There will be none.
    """
    return await (await _begun(pieces, receive, None))


async def _begun(
    pieces: Pieces, receive: Receive, patience_seconds: float | None
) -> "asyncio.Future[str | ChatResult]":
    """The first piece of an answer: here, or still awaited when the patience is over; it has none where it is None.

    Raises:
        ClientLeft: Nobody waits for it any more; the call to OpenAI is closed.
        UpstreamFailure: There will be none.
    """
    first = asyncio.ensure_future(anext(pieces))

    async def wait() -> None:
        await asyncio.wait({first}, timeout=patience_seconds)

    if not await race(wait(), receive):
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        raise ClientLeft
    if first.done():
        first.result()
    return first


async def _events(first: Awaitable[str | ChatResult], pieces: Pieces) -> AsyncGenerator[bytes, None]:
    """The pieces of an answer as events."""
    try:
        async with aclosing(pieces):
            yield _event(await first)
            async for piece in pieces:
                yield _event(piece)
    except UpstreamFailure as error:
        yield encode(b"error", _encoder.encode(error.failure.body))
    except Exception:
        log.exception("internal_error")
        yield encode(b"error", _encoder.encode(FAILURES["internal_error"].body))


def _event(piece: str | ChatResult) -> bytes:
    if isinstance(piece, ChatResult):
        return encode(b"final", _encoder.encode(piece))
    return encode(b"delta", _encoder.encode(ChatDelta(piece)))
