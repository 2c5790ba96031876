"""The runs of this process: each answer that is being written belongs to a task of its own, not to a client."""

import asyncio
from typing import Final
from uuid import UUID

import structlog
from msgspec import UNSET
from prometheus_client import Counter, Gauge, Histogram

from b2b_chat.contract.content import Piece
from b2b_chat.contract.schemas import ChatResult
from b2b_chat.kit.metrics import ANSWER_BUCKETS_SECONDS
from b2b_chat.kit.shares import Shares
from b2b_chat.kit.tracing import Attributes, span
from b2b_chat.kit.visible import is_blank
from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.failures import (
    RESTARTABLE,
    AnswerDefect,
    AnswerEmpty,
    AnswerFailed,
    AnswerLost,
    ClientDisconnected,
    CompanyBusy,
    GatewayUnavailable,
    Interrupted,
)
from b2b_chat.product.chat.gateway_client import GatewayClient
from b2b_chat.product.chat.repository import RunRepository
from b2b_chat.product.chat.run import Run
from b2b_chat.product.chat.schemas import ChatAnswer
from b2b_chat.product.chat.settlement import Settlement
from b2b_chat.product.chat.telling import Telling
from b2b_chat.product.credits.pricing import Prices
from b2b_chat.product.masking.requests import MaskedRequest
from b2b_chat.product.settings import ProductSettings

_DRAIN_POLL_SECONDS: Final = 0.02

_RUNS = Gauge("product_runs", "Answers that are being written.")
_FIRST_DELTA_SECONDS = Histogram(
    "product_first_delta_seconds", "Time from a message's admission to its first delta.", buckets=ANSWER_BUCKETS_SECONDS
)

_RESTARTS = Counter(
    "product_answer_restarts", "Answers begun anew after a fault in mid-answer, by the code of the fault.", ["code"]
)

structured_log = structlog.get_logger(__name__)


class AlreadyRunning(Exception):
    """This process has a run of the answer already."""


class Runs:
    """Starts runs, sees them through, and has it stored how they end."""

    def __init__(
        self, repository: RunRepository, gateway: GatewayClient, prices: Prices, settings: ProductSettings
    ) -> None:
        self._settlement = Settlement(repository, prices, settings)
        self._gateway = gateway
        self._resume_window_seconds = settings.chat_resume_window_seconds
        self._max_restarts = settings.chat_max_restarts
        self._total_seconds = settings.gateway_total_timeout_seconds
        for failure in RESTARTABLE:
            _RESTARTS.labels(failure.code)  # a first one must be a rise, no new series
        self._shares = Shares(settings.gateway_max_connections, settings.gateway_company_share_percent)
        """Of the connections to the gateway: each run may need one until it ends."""
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

    def reserve(self, log: AnswerLog, *, ends_unread: bool = False) -> Run:
        """Make a run known that is about to be admitted; `ends_unread` leaves it no resume window.

        Raises:
            AlreadyRunning: The answer has one.
            CompanyBusy: Its company has as many as it may have now.
            GatewayUnavailable: There are as many as there may be.
        """
        if log.assistant_message_id in self._runs:
            raise AlreadyRunning
        if not self._shares.has_room_for(log.company_id):
            raise GatewayUnavailable if self._shares.is_full else CompanyBusy
        self._shares.take(log.company_id)
        window_seconds = 0.0 if ends_unread else self._resume_window_seconds
        run = self._runs[log.assistant_message_id] = Run(log, resume_window_seconds=window_seconds)
        return run

    def discard(self, run: Run) -> None:
        """Forget a reserved run that was not admitted."""
        self._end(run, Interrupted())

    def start(self, run: Run, request: MaskedRequest) -> None:
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
        """Forget a run, and give its readers its end; the next attempt may have the entry already."""
        if self._runs.get(run.log.assistant_message_id) is run:
            del self._runs[run.log.assistant_message_id]
            self._shares.give_back(run.log.company_id)
        run.log.finish(outcome)

    def _leave_unread(self, run: Run) -> None:
        """End the run, unless a reader comes back within the resume window, where there is one."""
        if run.resume_window_seconds is None:
            return
        log, departure = run.log, run.log.departures

        def give_up_if_unread() -> None:
            # A reader that came back and left again began a window of its own, and so did another attempt.
            if run.log is log and log.is_unread and log.departures == departure:
                run.give_up(ClientDisconnected())

        if run.resume_window_seconds:
            asyncio.get_running_loop().call_later(run.resume_window_seconds, give_up_if_unread)
        else:
            give_up_if_unread()

    async def _see_through(self, run: Run, request: MaskedRequest) -> None:
        """Talk to the gateway, then settle or fail, whatever happens to the clients."""
        outcome: ChatAnswer | AnswerFailed = Interrupted()
        try:
            outcome = await self._outcome(run, request)
        except Exception as error:  # noqa: BLE001 - whatever it was, the readers get an end
            outcome = _as_failure(error)
        finally:
            self._end(run, outcome)

    async def _outcome(self, run: Run, request: MaskedRequest) -> ChatAnswer | AnswerFailed:
        try:
            result = await self._result(run, request)
        except AnswerFailed as failure:
            run.close()
            return await self._settlement.fail(run.log, failure)
        if result is not None:
            return await self._settlement.complete(run.log, request.body, result)
        if run.failure is None and run.is_stopped:
            return await self._settlement.stop(run.log, request.body)
        if isinstance(run.failure, ClientDisconnected):
            return await self._settlement.abandon(run.log, request.body, run.failure)
        return await self._settlement.fail(run.log, run.failure or Interrupted())

    async def _result(self, run: Run, request: MaskedRequest) -> ChatResult | None:
        """Return the gateway's answer, of as many attempts as it takes; None where it is ended early.

        Raises:
            AnswerFailed: The last attempt failed.
        """
        deadline_at = asyncio.get_running_loop().time() + self._total_seconds
        while True:
            try:
                return await run.talk(self._traced(run.log, request, deadline_at))
            except Exception as error:  # noqa: BLE001 - a failure to be stored, whatever it was
                failure = _as_failure(error)
                if not await self._restart(run, failure, deadline_at):
                    raise failure from None
            request = request.avoiding(failure.upstream or UNSET)

    async def _restart(self, run: Run, failure: AnswerFailed, deadline_at: float) -> bool:
        """Begin another attempt in place of one that failed in mid-answer; False where that is not to be."""
        log = run.log
        is_midway = log.has_begun or isinstance(failure, AnswerLost)
        if (
            not (is_midway and isinstance(failure, RESTARTABLE))
            or run.restarts >= self._max_restarts
            or asyncio.get_running_loop().time() >= deadline_at
            or (run.resume_window_seconds == 0 and log.would_be_unread)
            or not await self._settlement.restart(log)
        ):
            return False
        run.restart(failure)
        _RESTARTS.labels(failure.code).inc()
        structured_log.warning(
            "answer_restarted",
            assistant_message_id=log.assistant_message_id,
            code=failure.code,
            attempt=run.log.attempt,
            upstream=failure.upstream,
        )
        if run.log.is_unread:
            self._leave_unread(run)
        return True

    async def _traced(self, log: AnswerLog, request: MaskedRequest, deadline_at: float) -> ChatResult:
        def attributes() -> Attributes:
            return {
                "http.request.method": "POST",
                "b2b_chat.conversation_id": str(log.conversation_id),
                "b2b_chat.assistant_message_id": str(log.assistant_message_id),
            }

        with span("POST /v1/chat", "client", attributes):
            result = await self._talk(log, request, deadline_at)
        if is_blank(log.text) and not log.call_pieces:
            raise AnswerEmpty
        return result

    async def _talk(self, log: AnswerLog, request: MaskedRequest, deadline_at: float) -> ChatResult:
        telling = Telling(log, request)
        loop = asyncio.get_running_loop()
        started_at = loop.time()

        def on_piece(piece: Piece) -> None:
            if not log.has_begun:
                _FIRST_DELTA_SECONDS.observe(loop.time() - started_at)
            telling.take(piece)

        try:
            if request.body.stream:
                result = await self._gateway.stream(request, on_piece, deadline_at=deadline_at)
            else:
                result = await self._gateway.complete(request, deadline_at=deadline_at)
            telling.complete(result)
        finally:
            telling.end()
        return result


def _as_failure(error: BaseException) -> AnswerFailed:
    if isinstance(error, AnswerFailed):
        return error
    structured_log.error("run_defect", exc_info=error)
    return AnswerDefect()
