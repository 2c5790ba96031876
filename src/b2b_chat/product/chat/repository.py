"""SQL of conversations and messages.

`RunRepository` holds the statements of a message's life. Each is one round trip and, where it changes something, one
transaction of its own: the balance, the hold, the messages and the ledger move together or not at all. All of them
lock the company's account first, so that they cannot lock each other out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from b2b_chat.contract.schemas import ChatMessage
from b2b_chat.kit.connections import Connection
from b2b_chat.kit.database import Database, new_id
from b2b_chat.product.chat.models import MessageStatus

_SENT: Final = """
    SELECT asked.id AS user_message_id, asked.fingerprint, asked.conversation_id,
           answer.id AS assistant_message_id, answer.status, answer.text, answer.usage_json, answer.error_code,
           answer.attempt, -ledger.amount_credits AS charge_credits, accounts.balance_credits
    FROM messages AS asked
    JOIN messages AS answer ON answer.reply_to = asked.id
    JOIN accounts ON accounts.company_id = asked.company_id
    LEFT JOIN ledger ON ledger.message_id = asked.id
"""

_FIND_SENT: Final = f"{_SENT} WHERE asked.user_id = $1 AND asked.client_message_id = $2"

_FIND_ANSWER: Final = f"{_SENT} WHERE answer.id = $1 AND answer.company_id = $2 AND answer.user_id = $3"

_CONTEXT: Final = """
    SELECT context.role, context.text
    FROM conversations
    LEFT JOIN LATERAL (
        SELECT id, role, text
        FROM messages
        WHERE conversation_id = conversations.id AND status = 'completed'
              AND ($4::uuid IS NULL OR id < $4 AND completed_at <= (SELECT created_at FROM messages WHERE id = $4))
        ORDER BY id DESC
        LIMIT $5
    ) AS context ON true
    WHERE conversations.id = $1 AND conversations.company_id = $2 AND conversations.user_id = $3
          AND conversations.deleted_at IS NULL
    ORDER BY context.id
"""

# The lock is the one that the messages' foreign keys take anyway. Taken here it waits for an erasure that is under way,
# and sees what came of it.
_ADMIT: Final = """
    WITH available AS (
        SELECT company_id, LEAST($2::numeric, balance_credits - held_credits) AS amount
        FROM accounts
        WHERE company_id = $1 AND balance_credits > held_credits
        FOR UPDATE
    ), known AS (
        SELECT deleted_at FROM conversations WHERE id = $3 FOR KEY SHARE
    ), held AS (
        UPDATE accounts SET held_credits = held_credits + available.amount
        FROM available
        WHERE accounts.company_id = available.company_id
              AND NOT EXISTS (SELECT FROM known WHERE deleted_at IS NOT NULL)
        RETURNING available.amount
    ), conversation AS (
        INSERT INTO conversations (id, company_id, user_id, title)
        SELECT $3, $1, $4, $5 FROM held
        ON CONFLICT (id) DO NOTHING
    ), asked AS (
        INSERT INTO messages (id, company_id, user_id, conversation_id, role, status, text, client_message_id,
                              fingerprint, completed_at)
        SELECT $6, $1, $4, $3, 'user', 'completed', $7, $8, $9, now() FROM held
    ), answer AS (
        INSERT INTO messages (id, company_id, user_id, conversation_id, role, status, reply_to, lease_expires_at)
        SELECT $10, $1, $4, $3, 'assistant', 'pending', $6, now() + make_interval(secs => $11) FROM held
    ), hold AS (
        INSERT INTO holds (id, company_id, message_id, amount_credits) SELECT $12, $1, $6, amount FROM held
    )
    SELECT (SELECT amount FROM held) AS amount, EXISTS (SELECT FROM known WHERE deleted_at IS NOT NULL) AS is_erased
"""

_LOCK_ACCOUNT: Final = "SELECT FROM accounts WHERE company_id = $1 FOR UPDATE"

_REOPEN: Final = """
    UPDATE messages
    SET status = 'pending', attempt = attempt + 1, error_code = NULL, completed_at = NULL,
        lease_expires_at = now() + make_interval(secs => $2)
    WHERE id = $1 AND status = 'error' AND EXISTS (
        SELECT FROM conversations
        WHERE conversations.id = messages.conversation_id AND deleted_at IS NULL
        FOR KEY SHARE
    )
    RETURNING attempt
"""

_CLOSE_AGAIN: Final = """
    UPDATE messages
    SET status = 'error', attempt = attempt - 1, error_code = $2, completed_at = now(), lease_expires_at = NULL
    WHERE id = $1
"""

_HOLD: Final = """
    WITH available AS (
        SELECT LEAST($2::numeric, balance_credits - held_credits) AS amount
        FROM accounts
        WHERE company_id = $1 AND balance_credits > held_credits
    ), held AS (
        UPDATE accounts SET held_credits = held_credits + available.amount
        FROM available WHERE accounts.company_id = $1
        RETURNING available.amount
    ), hold AS (
        INSERT INTO holds (id, company_id, message_id, amount_credits) SELECT $3, $1, $4, amount FROM held
    )
    SELECT amount FROM held
"""

_SETTLE: Final = """
    WITH account AS (
        SELECT company_id FROM accounts WHERE company_id = $1 FOR UPDATE
    ), answer AS (
        UPDATE messages
        SET status = $7, text = $4, usage_json = $5::jsonb, completed_at = now(), lease_expires_at = NULL
        FROM account
        WHERE messages.id = $2 AND messages.company_id = account.company_id AND messages.attempt = $3
              AND messages.status IN ('pending', 'streaming')
        RETURNING messages.reply_to
    ), hold AS (
        UPDATE holds SET state = 'posted', resolved_at = now()
        FROM answer WHERE holds.message_id = answer.reply_to AND holds.state = 'live'
        RETURNING holds.message_id, holds.amount_credits
    ), paid AS (
        UPDATE accounts
        SET balance_credits = balance_credits - LEAST($6::numeric, hold.amount_credits),
            held_credits = held_credits - hold.amount_credits,
            entries = entries + 1
        FROM hold WHERE accounts.company_id = $1
        RETURNING hold.message_id, LEAST($6::numeric, hold.amount_credits) AS charge, balance_credits, entries
    ), entry AS (
        INSERT INTO ledger (company_id, position, kind, amount_credits, balance_after_credits, message_id)
        SELECT $1, entries, 'charge', -charge, balance_credits, message_id FROM paid
    )
    SELECT charge, balance_credits FROM paid
"""

_FAIL: Final = """
    WITH account AS (
        SELECT company_id FROM accounts WHERE company_id = $1 FOR UPDATE
    ), answer AS (
        UPDATE messages
        SET status = 'error', error_code = $4, completed_at = now(), lease_expires_at = NULL
        FROM account
        WHERE messages.id = $2 AND messages.company_id = account.company_id AND messages.attempt = $3
              AND messages.status IN ('pending', 'streaming')
        RETURNING messages.reply_to
    ), hold AS (
        UPDATE holds SET state = $5, resolved_at = now()
        FROM answer WHERE holds.message_id = answer.reply_to AND holds.state = 'live'
        RETURNING holds.amount_credits
    )
    UPDATE accounts SET held_credits = held_credits - hold.amount_credits
    FROM hold WHERE accounts.company_id = $1
    RETURNING accounts.company_id
"""

_FIND_CHARGE: Final = """
    SELECT -ledger.amount_credits AS charge, accounts.balance_credits
    FROM messages AS answer
    JOIN ledger ON ledger.message_id = answer.reply_to
    JOIN accounts ON accounts.company_id = answer.company_id
    WHERE answer.company_id = $1 AND answer.id = $2 AND answer.attempt = $3
"""

_RENEW: Final = """
    UPDATE messages
    SET status = 'streaming', lease_expires_at = now() + make_interval(secs => $2)
    WHERE id = ANY($1::uuid[]) AND status IN ('pending', 'streaming')
"""

_LIST_EXPIRED: Final = """
    SELECT company_id, id, attempt
    FROM messages
    WHERE status IN ('pending', 'streaming') AND lease_expires_at < now()
    LIMIT 1000
"""


class AlreadySent(Exception):
    """Another request with the same client message id came first."""


class RunInProgress(Exception):
    """The conversation has an answer that is still being written."""


class ConversationErased(Exception):
    """The conversation was erased in this very moment."""


class Sent(NamedTuple):
    """A message that was sent before, and what became of its answer."""

    user_message_id: UUID
    fingerprint: bytes
    conversation_id: UUID
    assistant_message_id: UUID
    status: str
    text: str
    usage_json: str | None
    error_code: str | None
    attempt: int
    charge_credits: Decimal | None
    balance_credits: Decimal


class Question(NamedTuple):
    """A message to be admitted, under ids that were made for it."""

    company_id: UUID
    user_id: UUID
    conversation_id: UUID
    title: str
    user_message_id: UUID
    assistant_message_id: UUID
    text: str
    client_message_id: str
    fingerprint: bytes


class Attempt(NamedTuple):
    """One attempt at an answer; only its own process may settle or fail it."""

    company_id: UUID
    assistant_message_id: UUID
    number: int


class RunRepository:
    """The statements of a message's life."""

    def __init__(self, database: Database, *, lease_seconds: float) -> None:
        self._database = database
        self._lease_seconds = lease_seconds

    async def find_sent(self, user_id: UUID, client_message_id: str) -> Sent | None:
        """What this user sent under this id before."""
        row = await self._database.run(lambda db: db.fetchrow(_FIND_SENT, user_id, client_message_id))
        return None if row is None else Sent(**row)

    async def find_answer(self, company_id: UUID, user_id: UUID, assistant_message_id: UUID) -> Sent | None:
        """One of a user's answers, with the message that it replies to."""
        row = await self._database.run(lambda db: db.fetchrow(_FIND_ANSWER, assistant_message_id, company_id, user_id))
        return None if row is None else Sent(**row)

    async def find_context(
        self, company_id: UUID, user_id: UUID, conversation_id: UUID, *, before: UUID | None, limit: int
    ) -> list[ChatMessage] | None:
        """The last completed messages of a user's conversation, oldest first; None where it is not the user's.

        With `before`, the ones that were completed when that message was sent: a retry asks what the first try asked,
        so that the gateway knows it again.
        """
        rows = await self._database.run(
            lambda db: db.fetch(_CONTEXT, conversation_id, company_id, user_id, before, limit)
        )
        if not rows:
            return None
        return [ChatMessage(row["role"], row["text"]) for row in rows if row["role"] is not None]

    async def admit(self, question: Question, max_cost_credits: Decimal) -> Decimal | None:
        """Hold credits and store the question with its pending answer; return what is held, or None without credit.

        Raises:
            AlreadySent: The client message id is taken.
            RunInProgress: The conversation has a live run.
            ConversationErased: The conversation is gone.
        """
        arguments = (
            question.company_id,
            max_cost_credits,
            question.conversation_id,
            question.user_id,
            question.title,
            question.user_message_id,
            question.text,
            question.client_message_id,
            question.fingerprint,
            question.assistant_message_id,
            self._lease_seconds,
            new_id(),
        )
        with _collisions_named():
            row = await self._database.run(lambda db: db.fetchrow(_ADMIT, *arguments))
        if row is None:
            raise RuntimeError("a SELECT without FROM returns one row")
        if row["is_erased"]:
            raise ConversationErased
        held: Decimal | None = row["amount"]
        return held

    async def readmit(
        self, company_id: UUID, sent: Sent, max_cost_credits: Decimal
    ) -> tuple[int, Decimal | None] | None:
        """Open a failed answer for another attempt: its number, and what is held for it, None without credit.

        Returns None, and changes nothing, where the answer is no longer a failed one, or erased.

        Raises:
            RunInProgress: The conversation has a live run.
        """

        async def reopen_and_hold(db: Connection) -> tuple[int, Decimal | None] | None:
            async with db.transaction():
                await db.execute(_LOCK_ACCOUNT, company_id)
                attempt = await db.fetchval(_REOPEN, sent.assistant_message_id, self._lease_seconds)
                if attempt is None:
                    return None
                held = await db.fetchval(_HOLD, company_id, max_cost_credits, new_id(), sent.user_message_id)
                if held is None:  # then the reopening must not stand either
                    await db.execute(_CLOSE_AGAIN, sent.assistant_message_id, sent.error_code)
                return attempt, held

        with _collisions_named():
            return await self._database.run(reopen_and_hold)

    async def settle(
        self, attempt: Attempt, text: str, usage_json: bytes, cost_credits: Decimal, *, status: MessageStatus
    ) -> tuple[Decimal, Decimal] | None:
        """Store the answer and charge for it: the charge and the balance after; None where the attempt is not live."""
        arguments = (*attempt, text, usage_json.decode(), cost_credits, status.value)
        row = await self._database.run(lambda db: db.fetchrow(_SETTLE, *arguments))
        if row is None:  # an earlier try may have been committed though its connection broke
            row = await self._database.run(lambda db: db.fetchrow(_FIND_CHARGE, *attempt))
        return None if row is None else (row["charge"], row["balance_credits"])

    async def fail(self, attempt: Attempt, error_code: str, *, hold_state: str = "voided") -> bool:
        """Mark the answer as failed and free its hold; False where the attempt is not live."""
        return await self._database.run(lambda db: db.fetchval(_FAIL, *attempt, error_code, hold_state)) is not None

    async def renew_leases(self, assistant_message_ids: list[UUID]) -> None:
        """Say that these answers are still being written."""
        await self._database.run(lambda db: db.execute(_RENEW, assistant_message_ids, self._lease_seconds))

    async def list_expired(self) -> list[Attempt]:
        """Live attempts whose process has not renewed their lease."""
        return [Attempt(*row) for row in await self._database.run(lambda db: db.fetch(_LIST_EXPIRED))]


@contextmanager
def _collisions_named() -> Iterator[None]:
    """Tell which of the two unique constraints a statement ran into."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == "uq_messages_one_run":
            raise RunInProgress from None
        if error.constraint_name == "uq_messages_client_message_id":
            raise AlreadySent from None
        raise
