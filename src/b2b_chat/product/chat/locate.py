"""Where an answer is now: here, elsewhere, stored or failed."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET

from b2b_chat.product.chat.answer_log import AnswerLog, Ended, MessageInProgress
from b2b_chat.product.chat.failures import AnswerFailed, ClientDisconnected, stored_failure
from b2b_chat.product.chat.relay.following import Following
from b2b_chat.product.chat.repository import Sent
from b2b_chat.product.chat.run import Run
from b2b_chat.product.chat.runs import Runs
from b2b_chat.product.chat.schemas import AnswerState, ChatAnswer
from b2b_chat.product.conversations.schemas import AnswerUsage
from b2b_chat.product.conversations.status import MessageStatus

ReadAgain: TypeAlias = Callable[[], Awaitable[Sent]]
"""Reads the outcome of a message from the database."""


class Here(NamedTuple):
    """This process is writing the answer."""

    run: Run

    @property
    def log(self) -> AnswerLog:
        """The run's log."""
        return self.run.log


class Elsewhere(NamedTuple):
    """Another process is writing the answer, and it is followed from here."""

    log: AnswerLog


class Stored(NamedTuple):
    """The answer is complete, or was stopped."""

    log: AnswerLog


class Failed(NamedTuple):
    """The last attempt has failed."""

    sent: Sent
    log: AnswerLog


Location: TypeAlias = Here | Elsewhere | Stored | Failed


class Locator:
    """Finds where answers are."""

    def __init__(self, runs: Runs, elsewhere: Following | None) -> None:
        self._runs = runs
        self._elsewhere = elsewhere

    async def locate(self, sent: Sent, read_again: ReadAgain) -> Location:
        """Return where the answer to a message is, of which the database has just said `sent`.

        Raises:
            MessageInProgress: Another process is writing it, or was until it ended, and it cannot be followed.
        """
        if (found := self._find(sent)) is None:
            # It may have ended between the look into the database and the one into the runs; look again.
            sent = await read_again()
            found = self._find(sent)
        if found is not None:
            return found
        if self._elsewhere is None:
            raise MessageInProgress

        async def read() -> AnswerLog:
            return log_of(await read_again())

        return Elsewhere(self._elsewhere.follow(log_of(sent), read))

    def _find(self, sent: Sent) -> Location | None:
        run = self._runs.find(sent.assistant_message_id)
        match sent.status:
            case MessageStatus.COMPLETED | MessageStatus.STOPPED:
                return Stored(log_of(sent))
            case _ if run is not None:
                return Here(run)
            case MessageStatus.ERROR:
                return Failed(sent, log_of(sent))
        return None


def state_of(sent: Sent, run: Run | None) -> AnswerState:
    """Return an answer as it is now: by the database, and while it is written here, with what there is of its text."""
    log = log_of(sent)
    answer = log.outcome if isinstance(log.outcome, ChatAnswer) else None
    failure = log.outcome if isinstance(log.outcome, AnswerFailed) else None
    is_live = sent.status in {MessageStatus.PENDING, MessageStatus.STREAMING}
    return AnswerState(
        conversation_id=sent.conversation_id,
        user_message_id=sent.user_message_id,
        assistant_message_id=sent.assistant_message_id,
        status=MessageStatus(sent.status).value,
        text=run.log.text if is_live and run is not None else log.text,
        usage=None if answer is None else answer.usage,
        charge_credits=None if answer is None else answer.charge_credits,
        finish_reason=sent.finish_reason,
        cut_by=sent.cut_by,
        error_code=None if failure is None else failure.code,
        retryable=None if failure is None else failure.retryable,
        tool_calls=UNSET if answer is None else answer.tool_calls,
        refusal=UNSET if answer is None else answer.refusal,
    )


def empty_log(sent: Sent, *, attempt: int) -> AnswerLog:
    """Return the log of an attempt of which nothing is known yet."""
    return AnswerLog(
        company_id=sent.company_id,
        conversation_id=sent.conversation_id,
        user_message_id=sent.user_message_id,
        assistant_message_id=sent.assistant_message_id,
        attempt=attempt,
    )


def log_of(sent: Sent) -> AnswerLog:
    """Return the log of an answer as the database knows it; a finished one reads as if it had been followed here."""
    log = empty_log(sent, attempt=sent.attempt)
    if sent.status in {MessageStatus.PENDING, MessageStatus.STREAMING}:
        return log
    # What a failed attempt leaves is its own only where it was paid for; else it may be an earlier attempt's.
    if sent.status != MessageStatus.ERROR or sent.error_code == ClientDisconnected.code:
        log.publish_stored(sent.text, sent.beside_text)
    if sent.status == MessageStatus.ERROR:
        log.finish(stored_failure(sent.error_code))
    else:
        status: Literal["completed", "stopped"] = "stopped" if sent.status == MessageStatus.STOPPED else "completed"
        ended = Ended(status, sent.finish_reason, sent.cut_by)
        usage = msgspec.json.decode(sent.usage_json or b"{}", type=AnswerUsage)
        log.finish(log.answer(ended, usage, sent.charge_credits or Decimal(0), sent.balance_credits))
    return log
