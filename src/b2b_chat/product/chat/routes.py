"""`/v1/chat`: send, follow, stop."""

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIType
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter, SkipValidation
from msgspec import UNSET

from b2b_chat.kit.disconnects import ClientLeft, WhileClientStays
from b2b_chat.kit.event_stream import EventStream
from b2b_chat.product.chat.answer_log import AnswerLog, MessageInProgress
from b2b_chat.product.chat.entrance import Entrance
from b2b_chat.product.chat.events import (
    EVENT_ID,
    Position,
    events_of,
    failure_event,
    located,
    opening_of,
    read_event_id,
)
from b2b_chat.product.chat.failures import ANSWER_FAILURES, AnswerFailed, ClientDisconnected
from b2b_chat.product.chat.openapi import AnsweringOperation, FollowingOperation
from b2b_chat.product.chat.prompts import TextTooLong
from b2b_chat.product.chat.refusals import AnswerNotFound, EmptyText, IdempotencyConflict, NothingToStop, ShuttingDown
from b2b_chat.product.chat.schemas import AnswerState, ChatAnswer, ChatSend
from b2b_chat.product.chat.service import Chat
from b2b_chat.product.conversations.service import ConversationBusy, ConversationNotFound
from b2b_chat.product.credits.service import CreditsHeld, InsufficientCredits, TooManyOpenAnswers
from b2b_chat.product.errors import documents
from b2b_chat.product.guards import signed_in
from b2b_chat.product.limits.service import RateLimited
from b2b_chat.product.masking.refusals import MaskingUnavailable, PersonalDataBlocked
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Scope


class ChatRoutes(Controller):
    """Talking to the assistant."""

    path = "/v1"
    tags = ("chat",)
    guards = (signed_in,)

    @post(
        "/chat",
        operation_id="sendMessage",
        operation_class=AnsweringOperation,
        status_code=200,
        opt={"scope": Scope.CHAT},
        responses=documents(
            RateLimited,
            InsufficientCredits,
            CreditsHeld,
            TooManyOpenAnswers,
            ConversationNotFound,
            IdempotencyConflict,
            ConversationBusy,
            MessageInProgress,
            EmptyText,
            TextTooLong,
            PersonalDataBlocked,
            MaskingUnavailable,
            ShuttingDown,
            *ANSWER_FAILURES,
        ),
    )
    async def send(
        self,
        request: Request[Viewer, Any, Any],
        data: JSONBody[ChatSend],
        entrance: NamedDependency[SkipValidation[Entrance]],
    ) -> Response[ChatAnswer]:
        """Send a message and get the answer, whole as JSON or as it is written as server-sent events."""
        stream = data.stream
        if stream is UNSET:
            stream = "text/event-stream" in request.headers.get("accept", "")
        last_event_id = request.headers.get("last-event-id")
        after = read_event_id(last_event_id) if last_event_id else None
        admit = partial(entrance.limits.admit_chat, request.user, entrance.client_ip.of(request))

        async with entrance.gate.passing(request.user.company_id):
            log, headers = await entrance.chat.send(request.user, data, stream=stream, admit=admit)
        if stream:
            return _stream(log, entrance.settings, after, restart=data.restart, fails_first=True, headers=headers)
        log.attach()
        try:
            with WhileClientStays(request.receive):
                return Response(await log.ended(), headers=headers)
        except ClientLeft:
            raise ClientDisconnected from None
        except AnswerFailed as failure:
            raise located(failure, log) from None
        finally:
            log.detach()

    @get(
        "/chat/{assistant_message_id:uuid}",
        operation_id="getAnswer",
        opt={"scope": Scope.CHAT},
        responses=documents(AnswerNotFound),
    )
    async def answer(
        self, viewer: NamedDependency[Viewer], assistant_message_id: FromPath[UUID], chat: NamedDependency[Chat]
    ) -> AnswerState:
        """Show an answer as it is now, for programs that ask again and again and read no events."""
        return await chat.answer(viewer, assistant_message_id)

    @get(
        "/chat/{assistant_message_id:uuid}/events",
        operation_id="followAnswer",
        operation_class=FollowingOperation,
        opt={"scope": Scope.CHAT},
        responses=documents(AnswerNotFound, MessageInProgress),
    )
    async def events(
        self,
        viewer: NamedDependency[Viewer],
        assistant_message_id: FromPath[UUID],
        chat: NamedDependency[Chat],
        settings: NamedDependency[SkipValidation[ProductSettings]],
        restart: Annotated[
            bool, QueryParameter(description="Whether the reader understands `event: restart`, as in `ChatSend`.")
        ] = False,
        last_event_id: Annotated[
            str | None,
            HeaderParameter(
                name="Last-Event-ID",
                # A header is a text or not there; Litestar would document it as a text or null.
                schema_extra={"one_of": None, "type": OpenAPIType.STRING, "pattern": EVENT_ID},
            ),
        ] = None,
    ) -> Response[None]:
        """Follow an answer as server-sent events, from its start or from the event named by `Last-Event-ID`."""
        after = read_event_id(last_event_id) if last_event_id else None
        log = await chat.follow(viewer, assistant_message_id)
        return _stream(log, settings, after, restart=restart)

    @post(
        "/chat/{assistant_message_id:uuid}/stop",
        operation_id="stopAnswer",
        status_code=200,
        opt={"scope": Scope.CHAT},
        responses=documents(AnswerNotFound, MessageInProgress, NothingToStop),
    )
    async def stop(
        self, viewer: NamedDependency[Viewer], assistant_message_id: FromPath[UUID], chat: NamedDependency[Chat]
    ) -> ChatAnswer:
        """End an answer that is being written, and keep what there is of it. Stopping twice is stopping once."""
        return await chat.stop(viewer, assistant_message_id)


def _stream(
    log: AnswerLog,
    settings: ProductSettings,
    after: Position | None,
    *,
    restart: bool,
    fails_first: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Response[Any]:
    """Return the stream of an answer after a position, or 204 where there is nothing to come back for.

    With `fails_first` the stream waits a moment for its first text, so that a failure before it is an HTTP status.
    """
    if after is not None and after.at_end and after.attempt == log.attempt:
        return Response(None, status_code=HTTPStatus.NO_CONTENT)  # an EventSource does not reconnect after it
    log.attach(goes_on=restart)
    return EventStream(
        events_of(log, after, restart=restart, fails_first=fails_first),
        keep_alive_seconds=settings.sse_keep_alive_seconds,
        begin_within_seconds=settings.sse_begin_within_seconds if fails_first else 0.0,
        retry_ms=settings.sse_retry_milliseconds,
        opening=opening_of(log, after, restart=restart),
        failure_event=partial(failure_event, log),
        on_close=partial(log.detach, goes_on=restart),
        headers=headers,
    )
