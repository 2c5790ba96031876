"""SQL of conversations and messages as they are read; the statements of a message's life are in `chat`."""

from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Numeric,
    Select,
    Uuid,
    column,
    exists,
    func,
    null,
    or_,
    select,
    table,
    text,
    tuple_,
    union_all,
    update,
)

from b2b_chat.kit.clock import utc_now
from b2b_chat.kit.database import Session
from b2b_chat.kit.search import indexed_part, pattern_of
from b2b_chat.product.conversations.models import ConversationRow, MessageRow
from b2b_chat.product.conversations.status import MessageStatus

# Columns of another domain's table that are read here.
_LEDGER: Final = table("ledger", column("message_id", Uuid), column("amount_credits", Numeric))


# The condition is that of the index, word for word.
_COUNT_MASKS: Final = text("""
    SELECT (messages.created_at AT TIME ZONE 'UTC')::date AS day, mask.value ->> 2 AS kind, count(*) AS hidden
    FROM messages, jsonb_array_elements(messages.masks) AS mask
    WHERE messages.company_id = :company_id AND messages.created_at >= :since AND messages.created_at < :until
          AND messages.role = 'user' AND messages.masks <> '[]'
    GROUP BY day, kind
    ORDER BY day, hidden DESC, kind
""")


class Place(NamedTuple):
    """A place in a list of conversations: what stands before it is listed already."""

    id: UUID
    at: datetime | None = None
    """The conversation's last activity, in a list that is ordered by it."""


class PricedMessage(NamedTuple):
    """A message, and what it cost as an answer."""

    message: MessageRow
    charge_credits: Decimal | None


class ConversationRepository:
    """Conversations and messages for reading, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def list_conversations(
        self,
        company_id: UUID,
        user_id: UUID,
        *,
        containing: str | None,
        before: Place | None,
        by_activity: bool = False,
        limit: int,
    ) -> list[ConversationRow]:
        """A user's conversations in a company, newest or last used first, below a place in that order.

        With `containing`, those with that text in their title or in a message.
        """
        query = select(ConversationRow).where(*_owned(company_id, user_id))
        order = (ConversationRow.updated_at, ConversationRow.id) if by_activity else (ConversationRow.id,)
        if before is not None:
            query = query.where(tuple_(*order) < tuple_(*((before.at, before.id) if by_activity else (before.id,))))
        if containing is not None:
            said = ConversationRow.id.in_(_saying(company_id, user_id, containing))
            query = query.where(or_(ConversationRow.title.regexp_match(pattern_of(containing)), said))
        newest_first = query.order_by(*(column.desc() for column in order))
        return list(await self._session.scalars(newest_first.limit(limit)))

    async def find(self, company_id: UUID, user_id: UUID, conversation_id: UUID) -> ConversationRow | None:
        """This user's conversation in this company, if it is one."""
        query = select(ConversationRow).where(*_owned(company_id, user_id), ConversationRow.id == conversation_id)
        return await self._session.scalar(query)

    async def find_locked(self, company_id: UUID, user_id: UUID, conversation_id: UUID) -> ConversationRow | None:
        """As `find`; until the transaction ends it is locked against changes and new messages."""
        query = select(ConversationRow).where(*_owned(company_id, user_id), ConversationRow.id == conversation_id)
        return await self._session.scalar(query.with_for_update())

    async def is_live(self, conversation_id: UUID) -> bool:
        """Whether an answer is being written in it."""
        live = exists().where(
            MessageRow.conversation_id == conversation_id,
            MessageRow.status.in_([MessageStatus.PENDING, MessageStatus.STREAMING]),
        )
        return bool(await self._session.scalar(select(live)))

    async def erase(self, conversation: ConversationRow) -> None:
        """Delete what was said in a conversation; the rows stay, since the ledger names them."""
        conversation.title = ""
        conversation.deleted_at = utc_now()
        erased = update(MessageRow).where(MessageRow.conversation_id == conversation.id)
        # No body has this fingerprint, so that sending an erased message again is refused as a used id.
        await self._session.execute(
            erased.values(text="", fingerprint=b"", masks=null(), masked_by=None, beside_text=null())
        )

    async def list_messages(
        self, company_id: UUID, conversation_id: UUID, *, after: UUID | None, limit: int
    ) -> list[PricedMessage]:
        """The messages of a conversation, oldest first, above an id, with what the answers cost."""
        query = _priced(company_id, conversation_id)
        if after is not None:
            query = query.where(MessageRow.id > after)
        rows = await self._session.execute(query.order_by(MessageRow.id).limit(limit))
        return [PricedMessage(message, charge) for message, charge in rows]

    async def list_latest_messages(
        self, company_id: UUID, conversation_id: UUID, *, before: UUID | None, limit: int
    ) -> list[PricedMessage]:
        """The same from the other end: newest first, below an id."""
        query = _priced(company_id, conversation_id)
        if before is not None:
            query = query.where(MessageRow.id < before)
        rows = await self._session.execute(query.order_by(MessageRow.id.desc()).limit(limit))
        return [PricedMessage(message, charge) for message, charge in rows]

    async def count_masks(self, company_id: UUID, since: datetime, until: datetime) -> list[tuple[date, str, int]]:
        """Days of UTC, kinds, and how many values of each were hidden in a company's messages of a time."""
        found = await self._session.execute(_COUNT_MASKS, {"company_id": company_id, "since": since, "until": until})
        return [(day, kind, hidden) for day, kind, hidden in found]


def _saying(company_id: UUID, user_id: UUID, text: str) -> Select[UUID] | CompoundSelect[UUID]:
    """The conversations of a user with a text in a message: by the index, or by reading where it does not help."""
    saying = select(MessageRow.conversation_id).where(
        MessageRow.user_id == user_id,
        MessageRow.company_id == company_id,
        MessageRow.text.regexp_match(pattern_of(text)),
    )
    part = indexed_part(text)
    if not part:
        own = select(ConversationRow.id).where(*_owned(company_id, user_id))
        return saying.where(MessageRow.conversation_id.in_(own))
    grams = func.search_grams(MessageRow.user_id, MessageRow.text)
    may_say = grams.op("@>", is_comparison=True)(func.search_grams(user_id, part))
    return union_all(
        saying.where(MessageRow.is_searchable, may_say),
        saying.where(~MessageRow.is_searchable, MessageRow.completed_at.is_not(None)),
    )


def _priced(company_id: UUID, conversation_id: UUID) -> Select[MessageRow, Decimal]:
    return (
        select(MessageRow, func.coalesce(MessageRow.charged_credits, -_LEDGER.c.amount_credits))
        .outerjoin(_LEDGER, _LEDGER.c.message_id == MessageRow.reply_to)
        .where(MessageRow.company_id == company_id, MessageRow.conversation_id == conversation_id)
    )


def _owned(company_id: UUID, user_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (
        ConversationRow.company_id == company_id,
        ConversationRow.user_id == user_id,
        ConversationRow.deleted_at.is_(None),
        ConversationRow.origin != "completions",
    )
