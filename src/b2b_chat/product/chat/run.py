"""A run: the attempts that are made at an answer, one after the other, and the ways to end them early."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from b2b_chat.contract.schemas import ChatResult
from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.failures import AnswerFailed


class Run:
    """An answer that is being written: the log of its present attempt, and the ways to end it early.

    It is reserved before it is admitted, so that a request that sees it in the database finds it here.
    """

    def __init__(self, log: AnswerLog, *, resume_window_seconds: float | None = None) -> None:
        self.log = log
        self.resume_window_seconds = resume_window_seconds
        """How long it goes on without a reader; None for ever."""
        self.is_started = False
        self.is_stopped = False
        self.restarts = 0
        """How many attempts have replaced ones that failed in mid-answer."""
        self.failure: AnswerFailed | None = None
        """Why it is given up."""
        self._talking: asyncio.Task[Any] | None = None
        self._is_over = False
        self._is_interrupted = False

    @property
    def is_given_up(self) -> bool:
        """Whether the attempt is about to fail: no reader should join it."""
        return self.failure is not None

    def stop(self) -> None:
        """End it for its user: the gateway call is closed, the text so far is kept."""
        if self.is_started and self._interrupt():
            self.is_stopped = True

    def give_up(self, failure: AnswerFailed) -> None:
        """End it as failed."""
        if self.is_started and self._interrupt():
            self.failure = self.failure or failure

    def restart(self, failure: AnswerFailed) -> None:
        """Go on with the next attempt, whose number is in the database, in place of the failed one."""
        log, self.log = self.log, self.log.next_attempt()
        self.log.on_unread = log.on_unread
        self.restarts += 1
        log.restart_as(self.log, failure)

    def close(self) -> None:
        """Accept no more requests to end it: how it ends is decided."""
        self._is_over = True

    async def talk(self, talk: Coroutine[Any, Any, ChatResult]) -> ChatResult | None:
        """Await the gateway's answer in the running task; None where it is ended early.

        What it raises does not close the run: another attempt may follow.
        """
        result = None
        if self._is_interrupted:  # before it began
            talk.close()
        else:
            self._talking = asyncio.current_task()
            try:
                result = await talk
            except asyncio.CancelledError:
                if self._talking is None or not self._is_interrupted:
                    raise
                self._talking.uncancel()
            finally:
                self._talking = None
        self.close()
        return result

    def _interrupt(self) -> bool:
        """Close the gateway call; False where it has ended."""
        if self._talking is not None and not self._is_interrupted:
            self._talking.cancel()
        self._is_interrupted = self._is_interrupted or not self._is_over
        return not self._is_over
