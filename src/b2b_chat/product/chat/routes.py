"""`/v1/chat` and `/v1/conversations`."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from msgspec import Struct

from b2b_chat.kit.errors import BodyTooLarge
from b2b_chat.kit.event_stream import EventStream, race
from b2b_chat.kit.pages import Limit, Page
from b2b_chat.product.chat.events import events_of
from b2b_chat.product.chat.runs import AnswerDefect, ClientDisconnected, Interrupted
from b2b_chat.product.chat.schemas import ChatAnswer, ChatSend, Conversation, Message
from b2b_chat.product.chat.service import (
    Chat,
    ConversationBusy,
    ConversationNotFound,
    Conversations,
    EmptyText,
    IdempotencyConflict,
    InvalidText,
    MessageInProgress,
    TextTooLong,
)
from b2b_chat.product.credits.service import InsufficientCredits
from b2b_chat.product.errors import documents
from b2b_chat.product.gateway_client import (
    AnswerCut,
    ContentFiltered,
    ContextLengthExceeded,
    GatewayRefused,
    GatewayTimeout,
    GatewayUnavailable,
)
from b2b_chat.product.guards import signed_in
from b2b_chat.product.identity.api_keys import Scope
from b2b_chat.product.identity.service import ScopeMissing, Unauthenticated, Viewer


class StreamOptions(Struct, frozen=True):
    """How answers are streamed."""

    keep_alive_seconds: float


class ChatRoutes(Controller):
    """Talking to the assistant."""

    path = "/v1"
    tags = ("chat",)
    guards = (signed_in,)

    @post(
        "/chat",
        operation_id="sendMessage",
        status_code=200,
        opt={"scope": Scope.CHAT},
        responses=documents(
            Unauthenticated,
            ScopeMissing,
            InsufficientCredits,
            ConversationNotFound,
            IdempotencyConflict,
            ConversationBusy,
            MessageInProgress,
            EmptyText,
            TextTooLong,
            InvalidText,
            ContextLengthExceeded,
            ContentFiltered,
            GatewayUnavailable,
            GatewayTimeout,
            GatewayRefused,
            AnswerCut,
            Interrupted,
            AnswerDefect,
            BodyTooLarge,
        ),
    )
    async def send(
        self,
        request: Request[Viewer, Any, Any],
        viewer: Viewer,
        data: ChatSend,
        chat: Chat,
        stream_options: StreamOptions,
    ) -> Response[ChatAnswer]:
        """Send a message and get the answer, whole as JSON or as it is written as server-sent events."""
        stream = data.stream or "text/event-stream" in request.headers.get("accept", "")
        run = await chat.send(viewer, data, stream=stream)
        run.attach()
        if stream:
            return EventStream(
                events_of(run), keep_alive_seconds=stream_options.keep_alive_seconds, on_close=run.detach
            )
        try:
            if not await race(run.ended(), request.receive):
                raise ClientDisconnected
            return Response(await run.ended())
        finally:
            run.detach()


class ConversationRoutes(Controller):
    """Reading what was said."""

    path = "/v1/conversations"
    tags = ("conversations",)
    guards = (signed_in,)
    opt = {"scope": Scope.READ}  # noqa: RUF012 - Litestar reads it, nobody writes it

    @get("/", operation_id="listConversations", responses=documents(Unauthenticated, ScopeMissing))
    async def conversations(
        self, viewer: Viewer, conversations: Conversations, cursor: str | None = None, limit: Limit = 50
    ) -> Page[Conversation]:
        """List your conversations, newest first."""
        return await conversations.list_conversations(viewer, cursor=cursor, limit=limit)

    @get(
        "/{conversation_id:uuid}/messages",
        operation_id="listMessages",
        responses=documents(Unauthenticated, ScopeMissing, ConversationNotFound),
    )
    async def messages(
        self,
        viewer: Viewer,
        conversation_id: UUID,
        conversations: Conversations,
        cursor: str | None = None,
        limit: Limit = 50,
    ) -> Page[Message]:
        """List the messages of one of your conversations, oldest first."""
        return await conversations.list_messages(viewer, conversation_id, cursor=cursor, limit=limit)
