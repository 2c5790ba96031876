"""The log of one attempt at an answer, which any number of readers follow at their own pace.

A slow reader costs only its position in the log: it gets everything that has come since as one piece.
"""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Literal, NamedTuple
from uuid import UUID

from b2b_chat.contract.schemas import FinishReason
from b2b_chat.product.chat.failures import AnswerFailed
from b2b_chat.product.chat.pace import Pace
from b2b_chat.product.chat.schemas import ChatAnswer
from b2b_chat.product.conversations.schemas import AnswerUsage
from b2b_chat.product.conversations.status import CutBy
from b2b_chat.product.refusals import Refusal

_UNSTORABLE = {0: "\N{REPLACEMENT CHARACTER}"}
"""PostgreSQL cannot store NUL in a text."""


class MessageInProgress(Refusal):
    """The answer is being written elsewhere, or its process ended and its lease has not yet run out."""

    code, status = "message_in_progress", 409
    retryable = True
    message = "This message is being answered. Send it again a little later."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "2"})


class Ended(NamedTuple):
    """How an answer ended that is kept: who ended it, and why."""

    status: Literal["completed", "stopped"]
    finish_reason: FinishReason | None = None
    cut_by: CutBy | None = None


class AnswerLog:
    """The pieces of an answer as they come, how it ended, and its readers."""

    def __init__(
        self,
        *,
        company_id: UUID,
        conversation_id: UUID,
        user_message_id: UUID,
        assistant_message_id: UUID,
        attempt: int = 1,
    ) -> None:
        self.company_id = company_id
        self.conversation_id = conversation_id
        self.user_message_id = user_message_id
        self.assistant_message_id = assistant_message_id
        self.attempt = attempt
        self.pieces: list[str] = []
        self.pace = Pace()
        self.outcome: ChatAnswer | AnswerFailed | None = None
        self.is_closed_here = False
        """Whether this process writes no more into the log, though the answer goes on elsewhere."""
        self.on_unread: Callable[[], None] = lambda: None
        self._readers = 0
        self.departures = 0
        """How often the last reader has left."""
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self.pieces)

    @property
    def is_unread(self) -> bool:
        """Whether the log has no reader now."""
        return self._readers == 0

    def answer(self, ended: Ended, usage: AnswerUsage, charge: Decimal, balance: Decimal) -> ChatAnswer:
        """Return the answer that this log's text is."""
        return ChatAnswer(
            conversation_id=self.conversation_id,
            user_message_id=self.user_message_id,
            assistant_message_id=self.assistant_message_id,
            status=ended.status,
            text=self.text,
            usage=usage,
            charge_credits=charge,
            balance_credits=balance,
            finish_reason=ended.finish_reason,
            cut_by=ended.cut_by,
        )

    def publish(self, piece: str) -> None:
        """Add a piece of the answer."""
        self.pace.note_text()
        self.pieces.append(piece.translate(_UNSTORABLE) if "\0" in piece else piece)
        self._wake()

    def finish(self, outcome: ChatAnswer | AnswerFailed) -> None:
        """Record how the attempt ended."""
        self.outcome = outcome
        self._wake()

    def send_away(self) -> None:
        """End the readers' streams without an end of the answer: they may follow it in another process."""
        self.is_closed_here = True
        self._wake()

    async def changed(self, seen: int) -> None:
        """Return when there are more than `seen` pieces, or the log has ended or is closed here."""
        if self.outcome is None and not self.is_closed_here and len(self.pieces) <= seen:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting

    async def ended(self) -> ChatAnswer:
        """Wait for the answer.

        Raises:
            AnswerFailed: There is none.
            MessageInProgress: It goes on in another process.
        """
        while self.outcome is None:
            if self.is_closed_here:
                raise MessageInProgress
            await self.changed(len(self.pieces))
        if isinstance(self.outcome, AnswerFailed):
            raise self.outcome
        return self.outcome

    def attach(self) -> None:
        """Count a reader in; every reader must `detach`."""
        self._readers += 1

    def detach(self) -> None:
        """Count a reader out; `on_unread` is called when the last one leaves a live log."""
        self._readers -= 1
        if self.outcome is None and self.is_unread:
            self.departures += 1
            self.on_unread()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
