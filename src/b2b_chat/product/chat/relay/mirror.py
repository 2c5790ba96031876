"""A mirror: the copy of an attempt that another process writes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from uuid import UUID

from msgspec import UNSET

from b2b_chat.contract.content import SentCalls
from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.failures import AnswerFailed
from b2b_chat.product.chat.schemas import ChatAnswer

ReadStored: TypeAlias = Callable[[], Awaitable[AnswerLog]]
"""Reads the answer from the database: the last attempt, and how it ended."""


class Mirror:
    """An attempt of another process: its log here, its writer, and the events that are awaited from it."""

    def __init__(self, number: int, log: AnswerLog, read_stored: ReadStored, now: float) -> None:
        self.number = number
        self.log = log
        self.read_stored = read_stored
        self.stop = False
        self.position = 0
        self.told_position = 0
        self.owner: str | None = None
        self.heard_at = self.born_at = now
        self.joining = 0
        self.taken = asyncio.Event()
        self.sign = asyncio.Event()
        """Set once it is known whether its process answers, or that it has ended."""
        self.ask_again = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    @property
    def key(self) -> tuple[UUID, int]:
        """The answer and the attempt."""
        return self.log.assistant_message_id, self.log.attempt

    @property
    def is_unneeded(self) -> bool:
        """Whether it has no readers here, and none is about to join."""
        return self.log.is_unread and not self.joining

    def add(self, position: int, text: str) -> bool:
        """Take text that begins at a position; False where some is missing before it."""
        if position > self.position:
            return False
        if new := text[self.position - position :]:
            self.position += len(new)
            self.log.publish(new)
        return True

    def finish(self, outcome: ChatAnswer | AnswerFailed) -> None:
        """Record how the attempt ended. Calls of tools come with the end here."""
        if isinstance(outcome, ChatAnswer) and outcome.tool_calls is not UNSET:
            self.log.publish_calls(SentCalls().lacking(outcome.tool_calls))
        self.log.finish(outcome)
        self._wake()

    def restart_as(self, successor: AnswerLog, failure: AnswerFailed) -> None:
        """Record that the attempt failed and another was begun."""
        self.log.restart_as(successor, failure)
        self._wake()

    def _wake(self) -> None:
        for awaited in (self.taken, self.sign, self.ask_again):
            awaited.set()
