"""The statements of a message's life as methods; their SQL is in `chat.statements`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Final, Literal, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from b2b_chat.contract.schemas import FinishReason
from b2b_chat.kit.connections import Connection
from b2b_chat.kit.database import Database, new_id
from b2b_chat.product.chat import statements
from b2b_chat.product.conversations.schemas import AnswerUsage
from b2b_chat.product.conversations.status import CutBy, Origin
from b2b_chat.product.credits.service import CreditsHeld, InsufficientCredits, TooManyOpenAnswers
from b2b_chat.product.masking.masks import NOT_MASKED, StoredMasks
from b2b_chat.product.settings import ProductSettings


class AlreadySent(Exception):
    """Another request with the same client message id came first."""


class RunInProgress(Exception):
    """The conversation has an answer that is still being written."""


class AttemptTaken(Exception):
    """Another request makes the next attempt."""


class ConversationErased(Exception):
    """The conversation was erased concurrently."""


class Sent(NamedTuple):
    """A message that was sent before, and what became of its answer."""

    company_id: UUID
    user_message_id: UUID
    fingerprint: bytes
    conversation_id: UUID
    assistant_message_id: UUID
    status: str
    text: str
    usage_json: str | None
    error_code: str | None
    finish_reason: FinishReason | None
    cut_by: CutBy | None
    attempt: int
    balance_credits: Decimal
    charge_credits: Decimal | None
    question_masks: str | None
    question_masked_by: str | None
    beside_text: str | None


class Said(NamedTuple):
    """A stored text, and what is known of it."""

    message_id: UUID
    text: str
    tokens: int | None
    """Of the text as it crossed the border last. None for messages of releases before these counts."""
    masks: str | None
    masked_by: str | None


class Exchange(NamedTuple):
    """A question and its answer."""

    question: Said
    answer: Said


class Question(NamedTuple):
    """A message to be admitted, under ids that were made for it."""

    company_id: UUID
    user_id: UUID
    sender_id: UUID
    conversation_id: UUID
    title: str
    user_message_id: UUID
    assistant_message_id: UUID
    text: str
    tokens: int | None
    client_message_id: str
    fingerprint: bytes
    masks: StoredMasks
    origin: Origin


class Attempt(NamedTuple):
    """One attempt at an answer; only its own process may settle or fail it."""

    company_id: UUID
    assistant_message_id: UUID
    number: int


class Ending(NamedTuple):
    """How an attempt ended that is paid for: what is stored of it, and its price."""

    status: Literal["completed", "stopped", "error"]
    text: str
    text_tokens: int
    usage: AnswerUsage
    cost_credits: Decimal
    finish_reason: FinishReason | None = None
    cut_by: CutBy | None = None
    error_code: str | None = None
    masks: StoredMasks = NOT_MASKED
    beside_text: str | None = None
    completion_tokens: int | None = None
    """For an answer that came to its own end: what it adds to how long its company's answers are."""


class Bounds(NamedTuple):
    """What is held for an answer: at most the highest price it can have, at least that of a useful one."""

    max_credits: Decimal
    min_credits: Decimal
    prompt_credits: Decimal
    """What is held for the prompt alone."""


_SAID: Final = len(Said._fields)


class RunRepository:
    """The statements of a message's life."""

    def __init__(self, database: Database, settings: ProductSettings) -> None:
        self._database = database
        self._lease_seconds = settings.chat_lease_seconds
        self._hold_rules = (
            settings.price_completion_credits_per_1k_tokens,
            settings.chat_usual_completion_tokens,
            settings.chat_hold_percent,
            settings.chat_open_answers_per_user,
            settings.chat_user_hold_percent,
        )

    async def find_sent(self, user_id: UUID, sender_id: UUID, client_message_id: str) -> Sent | None:
        """What was sent for this user, by this sender, under this id before."""
        names = (user_id, sender_id, client_message_id)
        row = await self._database.run(lambda db: db.fetchrow(statements.FIND_SENT, *names))
        return None if row is None else Sent(**row)

    async def find_answer(self, company_id: UUID, user_id: UUID, assistant_message_id: UUID) -> Sent | None:
        """One of a user's answers, with the message that it replies to."""
        names = (assistant_message_id, company_id, user_id)
        row = await self._database.run(lambda db: db.fetchrow(statements.FIND_ANSWER, *names))
        return None if row is None else Sent(**row)

    async def find_context(
        self, company_id: UUID, user_id: UUID, conversation_id: UUID, *, before: UUID | None, limit: int
    ) -> list[Exchange] | None:
        """The last exchanges of a user's conversation, oldest first; None where it is not the user's.

        With `before`, those that were over when that message was sent: a retry asks what the first try asked, so that
        the gateway knows it again.
        """
        names = (conversation_id, company_id, user_id)
        rows = await self._database.run(lambda db: db.fetch(statements.CONTEXT, *names, before, limit))
        if not rows:
            return None
        return [Exchange(Said(*row[:_SAID]), Said(*row[_SAID:])) for row in map(tuple, rows) if row[0] is not None]

    async def set_masks(self, masks: Mapping[UUID, str], key: str) -> None:
        """Store the masks of messages that had none, or others."""
        await self._database.run(lambda db: db.execute(statements.SET_MASKS, list(masks), list(masks.values()), key))

    async def admit(self, question: Question, bounds: Bounds) -> Decimal:
        """Hold credits and store the question with its pending answer; return what is held.

        Raises:
            InsufficientCredits, CreditsHeld, TooManyOpenAnswers: Too little is left, or is available now.
            AlreadySent: The client message id is taken.
            RunInProgress: The conversation has a live run.
            ConversationErased: The conversation is gone.
        """
        arguments = (
            *self._hold_arguments(question.company_id, question.user_id, bounds),
            question.conversation_id,
            question.title,
            question.user_message_id,
            question.text,
            question.client_message_id,
            question.fingerprint,
            question.assistant_message_id,
            self._lease_seconds,
            new_id(),
            question.tokens,
            *question.masks,
            question.origin,
            question.sender_id,
        )
        with _collisions_named():
            row = await self._database.run(lambda db: db.fetchrow(statements.ADMIT, *arguments))
        if row is None:  # every company has an account
            raise AlreadySent
        if row["is_erased"]:
            raise ConversationErased
        return _held(row)

    async def readmit(self, sent: Sent, user_id: UUID, bounds: Bounds) -> tuple[int, Decimal]:
        """Open a failed answer for another attempt: its number, and what is held for it.

        Raises:
            InsufficientCredits, CreditsHeld, TooManyOpenAnswers: Too little is left, or is available now.
            AttemptTaken: The answer is no longer a failed one, or erased.
            RunInProgress: The conversation has a live run.
        """

        async def reopen_and_hold(db: Connection) -> tuple[int, Decimal]:
            async with db.transaction():  # what is raised undoes the reopening
                await db.execute(statements.LOCK_ACCOUNT, sent.company_id)
                attempt = await db.fetchval(statements.REOPEN, sent.assistant_message_id, self._lease_seconds)
                if attempt is None:
                    raise AttemptTaken
                arguments = self._hold_arguments(sent.company_id, user_id, bounds)
                return attempt, _held(await db.fetchrow(statements.HOLD, *arguments, new_id(), sent.user_message_id))

        with _collisions_named():
            return await self._database.run(reopen_and_hold)

    async def settle(self, attempt: Attempt, ending: Ending) -> tuple[Decimal, Decimal] | None:
        """Store how an attempt ended, and charge for it.

        Returns the charge of all attempts together and the balance after it; None where the attempt is not live.
        """
        arguments = (
            *attempt,
            ending.text,
            msgspec.json.encode(ending.usage).decode(),
            ending.cost_credits,
            ending.status,
            ending.finish_reason,
            ending.cut_by,
            ending.error_code,
            ending.text_tokens,
            ending.completion_tokens,
            *ending.masks,
            ending.beside_text,
        )
        row = await self._database.run(lambda db: db.fetchrow(statements.SETTLE, *arguments))
        if row is None:  # an earlier try may have been committed
            row = await self._database.run(lambda db: db.fetchrow(statements.FIND_CHARGE, *attempt))
        return None if row is None else (row["charge"], row["balance_credits"])

    async def fail(self, attempt: Attempt, error_code: str, *, hold_state: str = "voided") -> bool:
        """Mark the answer as failed and free its hold; False where the attempt is not live."""
        arguments = (*attempt, error_code, hold_state)
        return await self._database.run(lambda db: db.fetchval(statements.FAIL, *arguments)) is not None

    async def restart(self, attempt: Attempt) -> bool:
        """Make a live attempt the next one, with its hold; False where it is not live."""
        arguments = (*attempt, self._lease_seconds)
        return await self._database.run(lambda db: db.fetchval(statements.RESTART, *arguments)) is not None

    async def renew_leases(self, assistant_message_ids: list[UUID]) -> None:
        """Say that these answers are still being written."""
        await self._database.run(lambda db: db.execute(statements.RENEW, assistant_message_ids, self._lease_seconds))

    async def list_expired(self) -> list[Attempt]:
        """Live attempts whose process has not renewed their lease."""
        return [Attempt(*row) for row in await self._database.run(lambda db: db.fetch(statements.LIST_EXPIRED))]

    def _hold_arguments(self, company_id: UUID, user_id: UUID, bounds: Bounds) -> tuple[object, ...]:
        """Return the arguments with which each statement begins that holds credits."""
        return (company_id, user_id, *bounds, *self._hold_rules)


def _held(row: asyncpg.Record | None) -> Decimal:
    """Return what a statement has held."""
    if row is not None and row["amount"] is not None:
        return Decimal(row["amount"])
    if row is not None and row["has_too_many"]:
        raise TooManyOpenAnswers
    if row is not None and row["is_covered"]:
        raise CreditsHeld
    raise InsufficientCredits


@contextmanager
def _collisions_named() -> Iterator[None]:
    """Name the unique constraint that a statement violated."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == "uq_messages_one_run":
            raise RunInProgress from None
        if error.constraint_name == "uq_messages_client_message_id":
            raise AlreadySent from None
        raise
