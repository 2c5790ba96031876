"""The log of one attempt at an answer, which any number of readers follow at their own pace.

A slow reader costs only its position in the log: it gets everything that has come since as one piece.
"""

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, structs

from b2b_chat.contract.content import SentCalls, ToolCall, ToolCallPiece, joined_calls
from b2b_chat.contract.schemas import FinishReason
from b2b_chat.product.chat.failures import AnswerFailed
from b2b_chat.product.chat.pace import Pace
from b2b_chat.product.chat.schemas import ChatAnswer
from b2b_chat.product.conversations.schemas import AnswerUsage
from b2b_chat.product.conversations.status import CutBy
from b2b_chat.product.masking.masks import NOT_MASKED
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
    """How a stored answer ended: by whom, and why."""

    status: Literal["completed", "stopped"]
    finish_reason: FinishReason | None = None
    cut_by: CutBy | None = None


class BesideText(Struct, frozen=True, omit_defaults=True):
    """What an answer has beside its text, as it is stored."""

    tool_calls: list[ToolCall] = []
    refusal: bool = False


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
        self.wanted_tokens: int | None = None
        """The longest answer that its sender wants."""
        self.pieces: list[str] = []
        self.call_pieces: list[ToolCallPiece] = []
        """The pieces of the tools that the model calls, with values in place of tokens."""
        self.crossed_arguments: list[str] = []
        """The arguments of calls as they crossed the border, which count as tokens."""
        self.is_refusal = False
        """Whether the text is the model's refusal; known before its first piece."""
        self.pace = Pace()
        self.masks = NOT_MASKED
        """Where values stand in the text of an attempt that has ended, if they were masked."""
        self.masked_text: str | None = None
        """The text as it crossed the border, if values were masked in it."""
        self.outcome: ChatAnswer | AnswerFailed | None = None
        self.successor: AnswerLog | None = None
        """The log of the attempt that was begun in place of this one, when it failed in mid-answer."""
        self.is_closed_here = False
        """Whether this process writes no more into the log, though the answer goes on elsewhere."""
        self.on_unread: Callable[[], None] = lambda: None
        self._readers = 0
        self._plain_readers = 0
        self.departures = 0
        """How often the last reader has left."""
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self.pieces)

    @property
    def has_begun(self) -> bool:
        """Whether there is anything of the answer."""
        return bool(self.pieces or self.call_pieces)

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The calls of tools so far."""
        return joined_calls(self.call_pieces) if self.call_pieces else []

    @property
    def beside_text(self) -> str | None:
        """What is stored beside the text."""
        if not self.call_pieces and not self.is_refusal:
            return None
        return msgspec.json.encode(BesideText(self.tool_calls, refusal=self.is_refusal)).decode()

    def publish_stored(self, text: str, beside_text: str | None) -> None:
        """Add the whole of a stored answer."""
        beside = msgspec.json.decode(beside_text or b"{}", type=BesideText)
        self.is_refusal = beside.refusal
        if text:
            self.publish(text)
        if beside.tool_calls:
            self.publish_calls(SentCalls().lacking(beside.tool_calls))

    @property
    def crossed(self) -> str:
        """The answer so far as it crossed the border, which is what counts as tokens."""
        text = self.text if self.masked_text is None else self.masked_text
        if not self.call_pieces:
            return text
        names = [piece.name for piece in self.call_pieces if piece.name is not UNSET]
        return "".join((text, *names, *self.crossed_arguments))

    @property
    def is_unread(self) -> bool:
        """Whether the log has no reader now."""
        return not self._readers and not self._plain_readers

    @property
    def would_be_unread(self) -> bool:
        """Whether no reader would go on to a successor."""
        return not self._readers and (self.has_begun or not self._plain_readers)

    def next_attempt(self, attempt: int | None = None) -> "AnswerLog":
        """Return an empty log for a later attempt at the same answer; without a number, for the next."""
        return AnswerLog(
            company_id=self.company_id,
            conversation_id=self.conversation_id,
            user_message_id=self.user_message_id,
            assistant_message_id=self.assistant_message_id,
            attempt=self.attempt + 1 if attempt is None else attempt,
        )

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
            tool_calls=self.tool_calls or UNSET,
            refusal=self.is_refusal or UNSET,
        )

    def publish(self, piece: str) -> None:
        """Add a piece of the answer."""
        self.pace.note_text()
        self.pieces.append(piece.translate(_UNSTORABLE) if "\0" in piece else piece)
        self._wake()

    def publish_calls(self, pieces: Sequence[ToolCallPiece]) -> None:
        """Add pieces of calls of tools."""
        self.pace.note_text()
        self.call_pieces += [
            structs.replace(piece, arguments=piece.arguments.translate(_UNSTORABLE))
            if "\0" in piece.arguments
            else piece
            for piece in pieces
        ]
        self._wake()

    def finish(self, outcome: ChatAnswer | AnswerFailed) -> None:
        """Record how the attempt ended."""
        self.outcome = outcome
        self._wake()

    def restart_as(self, successor: "AnswerLog", failure: AnswerFailed) -> None:
        """Record that the attempt failed and another was begun, and hand the readers over that go on to it."""
        # A reader that has read nothing has nothing to drop.
        plain_readers = 0 if self.has_begun else self._plain_readers
        successor.take_over(self._readers, plain_readers)
        self._readers, self._plain_readers = 0, self._plain_readers - plain_readers
        self.successor = successor
        self.finish(failure)

    def take_over(self, readers: int, plain_readers: int) -> None:
        """Count in the readers of the attempt before."""
        self._readers += readers
        self._plain_readers += plain_readers

    def send_away(self) -> None:
        """End the readers' streams without an end of the answer: they may follow it in another process."""
        self.is_closed_here = True
        self._wake()

    async def changed(self, seen: int, calls_seen: int | None = None) -> None:
        """Return when there are more pieces than were seen, or the log has ended or is closed here.

        A reader of texts alone passes no `calls_seen`; it may be woken by a call all the same.
        """
        has_news = len(self.pieces) > seen or (calls_seen is not None and len(self.call_pieces) > calls_seen)
        if self.outcome is None and not self.is_closed_here and not has_news:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting

    async def ended(self) -> ChatAnswer:
        """Wait for the answer, of whichever attempt.

        Raises:
            AnswerFailed: There is none.
            MessageInProgress: It goes on in another process.
        """
        log = self
        while log.outcome is None or log.successor is not None:
            if log.successor is not None:
                log = log.successor
            elif log.is_closed_here:
                raise MessageInProgress
            else:
                await log.changed(len(log.pieces))
        if isinstance(log.outcome, AnswerFailed):
            raise log.outcome
        return log.outcome

    def attach(self, *, goes_on: bool = True) -> None:
        """Count a reader in; every reader must `detach`, and say the same.

        Args:
            goes_on: Whether the reader drops what it has read and goes on where the answer is begun anew. Others do
                only before the first text.
        """
        if goes_on:
            self._readers += 1
        else:
            self._plain_readers += 1

    def detach(self, *, goes_on: bool = True) -> None:
        """Count a reader out; `on_unread` is called when the last one leaves a live log."""
        if self.successor is not None and (goes_on or not self.has_begun):
            self.successor.detach(goes_on=goes_on)
            return
        if goes_on:
            self._readers -= 1
        else:
            self._plain_readers -= 1
        if self.outcome is None and self.is_unread:
            self.departures += 1
            self.on_unread()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
