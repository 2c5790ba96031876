"""The runs of this process: each answer that is being written belongs to a task of its own, not to a client."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final
from uuid import UUID

import structlog
from prometheus_client import Gauge, Histogram

from b2b_chat.contract.schemas import ChatRequest, ChatResult
from b2b_chat.kit.metrics import ANSWER_BUCKETS_SECONDS
from b2b_chat.kit.tracing import Attributes, span
from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.failures import AnswerDefect, AnswerFailed, ClientDisconnected, Interrupted
from b2b_chat.product.chat.gateway_client import GatewayClient
from b2b_chat.product.chat.repository import RunRepository
from b2b_chat.product.chat.schemas import ChatAnswer
from b2b_chat.product.chat.settlement import Settlement
from b2b_chat.product.credits.pricing import Prices
from b2b_chat.product.settings import ProductSettings

_DRAIN_POLL_SECONDS: Final = 0.02

_RUNS = Gauge("product_runs", "Answers that are being written.")
_FIRST_DELTA_SECONDS = Histogram(
    "product_first_delta_seconds", "Time from a message's admission to its first delta.", buckets=ANSWER_BUCKETS_SECONDS
)

structured_log = structlog.get_logger(__name__)


class AlreadyRunning(Exception):
    """This process has a run of the answer already."""


class Run:
    """An attempt that is being made: its log, and the ways to end it early.

    It is reserved before it is admitted, so that a request that sees it in the database finds it here.
    """

    def __init__(self, log: AnswerLog) -> None:
        self.log = log
        self.is_started = False
        self.is_stopped = False
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
        """End it at its user's wish: the gateway call is closed, the text so far is kept."""
        if self.is_started and self._interrupt():
            self.is_stopped = True

    def give_up(self, failure: AnswerFailed) -> None:
        """End it as failed."""
        if self.is_started and self._interrupt():
            self.failure = self.failure or failure

    async def talk(self, talk: Coroutine[Any, Any, ChatResult]) -> ChatResult | None:
        """Await the gateway's answer in the running task; None where it is ended early."""
        if self._is_interrupted:  # before it began
            talk.close()
            return None
        self._talking = asyncio.current_task()
        try:
            return await talk
        except asyncio.CancelledError:
            if self._talking is None or not self._is_interrupted:
                raise
            self._talking.uncancel()
            return None
        finally:
            self._talking, self._is_over = None, True

    def _interrupt(self) -> bool:
        """Close the gateway call; False where it has ended."""
        if self._talking is not None and not self._is_interrupted:
            self._talking.cancel()
        self._is_interrupted = self._is_interrupted or not self._is_over
        return not self._is_over


class Runs:
    """Starts runs, sees them through, and has it stored how they end."""

    def __init__(
        self, repository: RunRepository, gateway: GatewayClient, prices: Prices, settings: ProductSettings
    ) -> None:
        self._settlement = Settlement(repository, prices, lease_seconds=settings.chat_lease_seconds)
        self._gateway = gateway
        self._resume_window_seconds = settings.chat_resume_window_seconds
        self._runs: dict[UUID, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        _RUNS.set_function(lambda: len(self.live))

    def find(self, assistant_message_id: UUID) -> Run | None:
        """Return the run of an answer, where this process is writing it."""
        return self._runs.get(assistant_message_id)

    @property
    def live(self) -> list[UUID]:
        """The answers that are being written."""
        return [assistant_message_id for assistant_message_id, run in self._runs.items() if run.is_started]

    def reserve(self, log: AnswerLog) -> Run:
        """Make a run known that is about to be admitted.

        Raises:
            AlreadyRunning: The answer has one.
        """
        if log.assistant_message_id in self._runs:
            raise AlreadyRunning
        run = self._runs[log.assistant_message_id] = Run(log)
        return run

    def discard(self, run: Run) -> None:
        """Forget a reserved run that was not admitted."""
        self._end(run, Interrupted())

    def start(self, run: Run, request: ChatRequest) -> None:
        """Let a reserved and admitted run begin."""
        run.is_started = True
        run.log.on_unread = lambda: self._leave_unread(run)
        task = asyncio.create_task(self._see_through(run, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, grace_seconds: float) -> None:
        """Let running answers finish for a while, those that are just being admitted too; interrupt the rest."""
        deadline = asyncio.get_running_loop().time() + grace_seconds
        while self._runs:
            if asyncio.get_running_loop().time() >= deadline:
                for run in self._runs.values():
                    run.give_up(Interrupted())
            await asyncio.sleep(_DRAIN_POLL_SECONDS)

    def _end(self, run: Run, outcome: ChatAnswer | AnswerFailed) -> None:
        """Forget a run, and tell its readers how it ended; the next attempt may have the entry already."""
        if self._runs.get(run.log.assistant_message_id) is run:
            del self._runs[run.log.assistant_message_id]
        run.log.finish(outcome)

    def _leave_unread(self, run: Run) -> None:
        """End the run, unless a reader comes back within the resume window."""
        departure = run.log.departures

        def give_up_if_unread() -> None:
            # A reader that came back and left again began a window of its own.
            if run.log.is_unread and run.log.departures == departure:
                run.give_up(ClientDisconnected())

        if self._resume_window_seconds:
            asyncio.get_running_loop().call_later(self._resume_window_seconds, give_up_if_unread)
        else:
            give_up_if_unread()

    async def _see_through(self, run: Run, request: ChatRequest) -> None:
        """Talk to the gateway, then settle or fail, whatever happens to the clients."""
        outcome: ChatAnswer | AnswerFailed = Interrupted()
        try:
            outcome = await self._outcome(run, request)
        except Exception as error:  # noqa: BLE001 - whatever it was, the readers get an end
            outcome = _as_failure(error)
        finally:
            self._end(run, outcome)

    async def _outcome(self, run: Run, request: ChatRequest) -> ChatAnswer | AnswerFailed:
        try:
            result = await run.talk(self._traced(run.log, request))
        except Exception as error:  # noqa: BLE001 - a failure to be stored, whatever it was
            return await self._settlement.fail(run.log, _as_failure(error))
        if result is not None:
            return await self._settlement.settle(run.log, request, result.usage, "completed")
        if run.is_stopped and run.failure is None:
            return await self._settlement.settle(run.log, request, None, "stopped")
        return await self._settlement.fail(run.log, run.failure or Interrupted())

    async def _traced(self, log: AnswerLog, request: ChatRequest) -> ChatResult:
        def attributes() -> Attributes:
            return {
                "http.request.method": "POST",
                "b2b_chat.conversation_id": str(log.conversation_id),
                "b2b_chat.assistant_message_id": str(log.assistant_message_id),
            }

        with span("POST /v1/chat", "client", attributes):
            return await self._talk(log, request)

    async def _talk(self, log: AnswerLog, request: ChatRequest) -> ChatResult:
        if not request.stream:
            result = await self._gateway.complete(request)
            if result.text:
                log.publish(result.text)
            return result
        loop = asyncio.get_running_loop()
        started_at = loop.time()

        def on_text(text: str) -> None:
            if not log.pieces:
                _FIRST_DELTA_SECONDS.observe(loop.time() - started_at)
            log.publish(text)

        result = await self._gateway.stream(request, on_text)
        # The result is the whole answer, whatever part of it came as deltas.
        text = log.text
        if result.text != text and result.text.startswith(text):
            log.publish(result.text[len(text) :])
        return result


def _as_failure(error: BaseException) -> AnswerFailed:
    if isinstance(error, AnswerFailed):
        return error
    structured_log.error("run_defect", exc_info=error)
    return AnswerDefect()
