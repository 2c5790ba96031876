"""Reading what was said."""

from uuid import UUID

import msgspec

from b2b_chat.kit.errors import Refusal
from b2b_chat.kit.pages import Page, id_from_cursor
from b2b_chat.product.chat.models import MessageRow
from b2b_chat.product.chat.schemas import Conversation, Message
from b2b_chat.product.identity.viewer import Viewer
from b2b_chat.product.transactions import TransactionFactory


class ConversationNotFound(Refusal):
    """No such conversation, or not the viewer's."""

    code, status = "conversation_not_found", 404
    message = "You have no conversation with this id."


class Conversations:
    """Reading what was said."""

    def __init__(self, transaction: TransactionFactory) -> None:
        self._transaction = transaction

    async def list_conversations(self, viewer: Viewer, *, cursor: str | None, limit: int) -> Page[Conversation]:
        """The viewer's conversations, newest first.

        Raises:
            InvalidRequest: The cursor is not one that this list gave.
        """
        before = id_from_cursor(cursor)
        async with self._transaction() as tx:
            rows = await tx.conversations.list_conversations(
                viewer.company_id, viewer.user_id, before=before, limit=limit + 1
            )
        items = [Conversation(row.id, row.title, row.created_at) for row in rows[:limit]]
        return Page(items, str(items[-1].id) if len(rows) > limit else None)

    async def list_messages(
        self, viewer: Viewer, conversation_id: UUID, *, cursor: str | None, limit: int
    ) -> Page[Message]:
        """The messages of one of the viewer's conversations, oldest first.

        Raises:
            ConversationNotFound: It is not the viewer's.
            InvalidRequest: The cursor is not one that this list gave.
        """
        after = id_from_cursor(cursor)
        async with self._transaction() as tx:
            if not await tx.conversations.exists(viewer.company_id, viewer.user_id, conversation_id):
                raise ConversationNotFound
            rows = await tx.conversations.list_messages(
                viewer.company_id, conversation_id, after=after, limit=limit + 1
            )
        items = [_message(row) for row in rows[:limit]]
        return Page(items, str(items[-1].id) if len(rows) > limit else None)


def _message(row: MessageRow) -> Message:
    # The columns are constrained to these values by the database; convert checks it and types it.
    return msgspec.convert(
        {
            "id": row.id,
            "role": row.role,
            "status": row.status,
            "text": row.text,
            "usage": row.usage_json,
            "error_code": row.error_code,
            "created_at": row.created_at,
        },
        Message,
    )
