"""A run: the log of one attempt at an answer, which any number of readers follow at their own pace.

A reader that is slow costs nothing but its place in the log: it gets all that has come since as one piece.
"""

import asyncio
from collections.abc import Callable
from uuid import UUID

from b2b_chat.kit.errors import Refusal
from b2b_chat.product.chat.schemas import ChatAnswer
from b2b_chat.product.gateway_client import AnswerFailed

_UNSTORABLE = {0: "\N{REPLACEMENT CHARACTER}"}
"""PostgreSQL cannot store NUL in a text."""


class MessageInProgress(Refusal):
    """The answer is being written elsewhere, or its process ended and its lease has not yet run out."""

    code, status = "message_in_progress", 409
    message = "This message is being answered. Send it again a little later."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "2"})


class Run:
    """The pieces of an answer as they come, and how it ended."""

    def __init__(
        self, *, company_id: UUID, conversation_id: UUID, user_message_id: UUID, assistant_message_id: UUID
    ) -> None:
        self.company_id = company_id
        self.conversation_id = conversation_id
        self.user_message_id = user_message_id
        self.assistant_message_id = assistant_message_id
        self.attempt = 1
        self.pieces: list[str] = []
        self.outcome: ChatAnswer | AnswerFailed | None = None
        self.is_cut = False
        """Whether this process tells no more of it, though it has not ended."""
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
        """Whether nobody follows the run now."""
        return self._readers == 0

    def publish(self, piece: str) -> None:
        """Add a piece of the answer."""
        self.pieces.append(piece.translate(_UNSTORABLE) if "\0" in piece else piece)
        self._wake()

    def finish(self, outcome: ChatAnswer | AnswerFailed) -> None:
        """Say how the run ended."""
        self.outcome = outcome
        self._wake()

    def cut(self) -> None:
        """Send the readers away: the run goes on in another process, where they may follow it."""
        self.is_cut = True
        self._wake()

    async def changed(self, seen: int) -> None:
        """Return when there are more than `seen` pieces, or the run has ended or is cut."""
        if self.outcome is None and not self.is_cut and len(self.pieces) <= seen:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting

    async def ended(self) -> ChatAnswer:
        """Wait for the answer.

        Raises:
            AnswerFailed: There is none.
            MessageInProgress: It was cut here.
        """
        while self.outcome is None:
            if self.is_cut:
                raise MessageInProgress
            await self.changed(len(self.pieces))
        if isinstance(self.outcome, AnswerFailed):
            raise self.outcome
        return self.outcome

    def attach(self) -> None:
        """Count a reader in; every one must `detach`."""
        self._readers += 1

    def detach(self) -> None:
        """Count a reader out; `on_unread` is called when the last one leaves a live run."""
        self._readers -= 1
        if self.outcome is None and self.is_unread:
            self.departures += 1
            self.on_unread()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
