"""`/v1/conversations`."""

from typing import Annotated, Final, Literal
from uuid import UUID

from litestar import Controller, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from b2b_chat.kit.openapi import named
from b2b_chat.kit.pagination import IdCursor, Limit, Page
from b2b_chat.kit.text import LINE, form, text_parameter
from b2b_chat.product.conversations.schemas import Conversation, ConversationRename, Message
from b2b_chat.product.conversations.service import ConversationBusy, ConversationNotFound, Conversations
from b2b_chat.product.errors import documents
from b2b_chat.product.guards import signed_in
from b2b_chat.product.transactions import TookTooLong
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Scope

_CURSOR: Final = form("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(_[0-9]{1,17})?$", "a cursor that this list gave")
ConversationCursor = Annotated[
    str | None,
    QueryParameter(pattern=_CURSOR, description="Where the page starts: `next_cursor` of the page before."),
]
"""The cursor of a list by id, or by activity and id."""


class ConversationRoutes(Controller):
    """Reading what was said."""

    path = "/v1/conversations"
    tags = ("conversations",)
    guards = (signed_in,)
    opt = {"scope": Scope.READ}  # noqa: RUF012 - Litestar reads it, nobody writes it

    @get("/", operation_id="listConversations", responses=documents(TookTooLong))
    async def conversations(
        self,
        viewer: NamedDependency[Viewer],
        conversations: NamedDependency[Conversations],
        cursor: ConversationCursor = None,
        order: Annotated[
            Literal["created", "activity"], QueryParameter(description="Newest first, or last used first.")
        ] = "created",
        search: Annotated[
            str | None,
            text_parameter(LINE, max_length=200, description="A text in the title or in the messages."),
        ] = None,
        limit: Limit = 50,
    ) -> Annotated[Page[Conversation], named("ConversationPage")]:
        """List your conversations, newest first, or by `order=activity` the one last used first."""
        return await conversations.list_conversations(
            viewer, search=search, cursor=cursor, by_activity=order == "activity", limit=limit
        )

    @get("/{conversation_id:uuid}", operation_id="getConversation", responses=documents(ConversationNotFound))
    async def conversation(
        self,
        viewer: NamedDependency[Viewer],
        conversation_id: FromPath[UUID],
        conversations: NamedDependency[Conversations],
    ) -> Conversation:
        """Show one of your conversations."""
        return await conversations.get(viewer, conversation_id)

    @put(
        "/{conversation_id:uuid}/title",
        operation_id="renameConversation",
        opt={"scope": Scope.CHAT},
        responses=documents(ConversationNotFound),
    )
    async def rename(
        self,
        viewer: NamedDependency[Viewer],
        conversation_id: FromPath[UUID],
        data: JSONBody[ConversationRename],
        conversations: NamedDependency[Conversations],
    ) -> Conversation:
        """Give one of your conversations another title."""
        return await conversations.rename(viewer, conversation_id, data)

    @delete(
        "/{conversation_id:uuid}",
        operation_id="eraseConversation",
        opt={"scope": Scope.CHAT},
        responses=documents(ConversationNotFound, ConversationBusy),
    )
    async def erase(
        self,
        viewer: NamedDependency[Viewer],
        conversation_id: FromPath[UUID],
        conversations: NamedDependency[Conversations],
    ) -> None:
        """Erase all that was said in one of your conversations. What it cost stays in the ledger."""
        await conversations.erase(viewer, conversation_id)

    @get(
        "/{conversation_id:uuid}/messages",
        operation_id="listMessages",
        responses=documents(ConversationNotFound),
    )
    async def messages(
        self,
        viewer: NamedDependency[Viewer],
        conversation_id: FromPath[UUID],
        conversations: NamedDependency[Conversations],
        cursor: IdCursor = None,
        order: Annotated[Literal["asc", "desc"], QueryParameter(description="Oldest or newest first.")] = "asc",
        limit: Limit = 50,
    ) -> Annotated[Page[Message], named("MessagePage")]:
        """List the messages of one of your conversations, oldest first, or by `order=desc` newest first."""
        return await conversations.list_messages(
            viewer, conversation_id, cursor=cursor, newest_first=order == "desc", limit=limit
        )
