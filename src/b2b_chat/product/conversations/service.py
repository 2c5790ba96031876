"""Conversations: reading, finding, renaming and erasing them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

import msgspec

from b2b_chat.kit.errors import InvalidRequest
from b2b_chat.kit.pagination import Page, id_from_cursor
from b2b_chat.product.conversations.models import ConversationRow, MessageRow
from b2b_chat.product.conversations.repository import ConversationRepository, Place
from b2b_chat.product.conversations.schemas import Conversation, ConversationRename, Message
from b2b_chat.product.limits.turns import Turns
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.transactions import Transaction, TransactionFactory
from b2b_chat.product.viewer import Viewer

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class ConversationNotFound(Refusal):
    """No such conversation, or not the viewer's."""

    code, status = "conversation_not_found", 404
    param = "conversation_id"
    message = "You have no conversation with this id."


class ConversationBusy(Refusal):
    """The conversation's last answer is still being written."""

    code, status = "conversation_busy", 409
    retryable = True
    message = "The last message of this conversation is still being answered. Wait for its end."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


class Conversations:
    """Reading what was said, finding it again, and erasing it."""

    def __init__(self, transaction: TransactionFactory, reading: TransactionFactory) -> None:
        self._transaction = transaction
        self._reading = reading
        self._searching = Turns()

    async def list_conversations(
        self,
        viewer: Viewer,
        *,
        search: str | None = None,
        cursor: str | None,
        by_activity: bool = False,
        limit: int,
    ) -> Page[Conversation]:
        """The viewer's conversations, newest or last used first; where a text is given, those that have it.

        Raises:
            InvalidRequest: The cursor is not one that this list gave.
            RateLimited: Some more searches of the viewer are under way.
            TookTooLong: The search took too long.
        """
        before = _place_of(cursor, by_activity=by_activity)
        if search is None:
            async with self._transaction() as tx:
                return await _list_page(tx, viewer, None, before, by_activity=by_activity, limit=limit)
        async with self._searching.turn(viewer.user_id), self._reading() as tx:
            return await _list_page(tx, viewer, search, before, by_activity=by_activity, limit=limit)

    async def get(self, viewer: Viewer, conversation_id: UUID) -> Conversation:
        """One of the viewer's conversations.

        Raises:
            ConversationNotFound: It is not the viewer's.
        """
        async with self._transaction() as tx:
            row = _found(await tx[ConversationRepository].find(viewer.company_id, viewer.user_id, conversation_id))
        return _conversation(row)

    async def rename(self, viewer: Viewer, conversation_id: UUID, change: ConversationRename) -> Conversation:
        """Give one of the viewer's conversations another title.

        Raises:
            ConversationNotFound: It is not the viewer's.
        """
        async with self._transaction() as tx:
            row = _found(
                await tx[ConversationRepository].find_locked(viewer.company_id, viewer.user_id, conversation_id)
            )
            row.title = change.title
        return _conversation(row)

    async def erase(self, viewer: Viewer, conversation_id: UUID) -> None:
        """Erase all that was said in one of the viewer's conversations. What it cost stays in the ledger.

        Raises:
            ConversationNotFound: It is not the viewer's.
            ConversationBusy: An answer is being written in it.
        """
        async with self._transaction() as tx:
            row = _found(
                await tx[ConversationRepository].find_locked(viewer.company_id, viewer.user_id, conversation_id)
            )
            if await tx[ConversationRepository].is_live(conversation_id):
                raise ConversationBusy
            await tx[ConversationRepository].erase(row)

    async def list_messages(
        self, viewer: Viewer, conversation_id: UUID, *, cursor: str | None, newest_first: bool = False, limit: int
    ) -> Page[Message]:
        """The messages of one of the viewer's conversations, oldest first or newest first.

        Raises:
            ConversationNotFound: It is not the viewer's.
            InvalidRequest: The cursor is not one that this list gave.
        """
        after = id_from_cursor(cursor)
        async with self._transaction() as tx:
            _found(await tx[ConversationRepository].find(viewer.company_id, viewer.user_id, conversation_id))
            conversations = tx[ConversationRepository]
            if newest_first:
                rows = await conversations.list_latest_messages(
                    viewer.company_id, conversation_id, before=after, limit=limit + 1
                )
            else:
                rows = await conversations.list_messages(
                    viewer.company_id, conversation_id, after=after, limit=limit + 1
                )
        items = [_message(*row) for row in rows[:limit]]
        return Page(items, str(items[-1].id) if len(rows) > limit else None)

    async def list_latest_messages(
        self, viewer: Viewer, conversation_id: UUID, *, before: UUID | None = None, limit: int
    ) -> Page[Message]:
        """The last messages of one of the viewer's conversations, or the last before one of them, oldest first.

        The cursor is the id of the first, where there are earlier ones.

        Raises:
            ConversationNotFound: It is not the viewer's.
        """
        async with self._transaction() as tx:
            _found(await tx[ConversationRepository].find(viewer.company_id, viewer.user_id, conversation_id))
            rows = await tx[ConversationRepository].list_latest_messages(
                viewer.company_id, conversation_id, before=before, limit=limit + 1
            )
        items = [_message(*row) for row in reversed(rows[:limit])]
        return Page(items, str(items[0].id) if len(rows) > limit else None)


async def _list_page(
    tx: Transaction, viewer: Viewer, containing: str | None, before: Place | None, *, by_activity: bool, limit: int
) -> Page[Conversation]:
    rows = await tx[ConversationRepository].list_conversations(
        viewer.company_id,
        viewer.user_id,
        containing=containing,
        before=before,
        by_activity=by_activity,
        limit=limit + 1,
    )
    items = [_conversation(row) for row in rows[:limit]]
    return Page(items, _cursor_of(items[-1], by_activity=by_activity) if len(rows) > limit else None)


def _cursor_of(last: Conversation, *, by_activity: bool) -> str:
    return f"{last.id}_{(last.updated_at - _EPOCH) // _MICROSECOND}" if by_activity else str(last.id)


def _place_of(cursor: str | None, *, by_activity: bool) -> Place | None:
    """Return the place that a cursor names.

    Raises:
        InvalidRequest: It is not of a list in this order.
    """
    if cursor is None:
        return None
    conversation_id, separator, microseconds = cursor.partition("_")
    if bool(separator) is not by_activity:
        raise InvalidRequest("cursor: not one of this list.", param="cursor")
    at = _EPOCH + int(microseconds) * _MICROSECOND if by_activity else None
    return Place(UUID(conversation_id), at)


def _found(row: ConversationRow | None) -> ConversationRow:
    if row is None:
        raise ConversationNotFound
    return row


def _conversation(row: ConversationRow) -> Conversation:
    return Conversation(row.id, row.title, row.created_at, row.updated_at or row.created_at)


def _message(row: MessageRow, charge_credits: Decimal | None) -> Message:
    # The columns are constrained to these values by the database; convert checks it and types it.
    return msgspec.convert(
        {
            "id": row.id,
            "role": row.role,
            "status": row.status,
            "text": row.text,
            "client_message_id": row.client_message_id,
            "usage": row.usage_json,
            "charge_credits": charge_credits,
            "finish_reason": row.finish_reason,
            "cut_by": row.cut_by,
            "error_code": row.error_code,
            "created_at": row.created_at,
            **({"hidden": hidden} if (hidden := _hidden(row)) else {}),
        },
        Message,
    )


def _hidden(row: MessageRow) -> list[dict[str, str]]:
    """Return the values that a text's masks hide, each once, in the order in which they are stored."""
    kinds = {row.text[start:end]: kind for start, end, kind, _ in row.masks or ()}
    return [{"text": value, "kind": kind} for value, kind in kinds.items() if value]
