"""The runs of this process: each answer that is being written belongs to a task of its own, not to who asked for it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import cache
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct
from prometheus_client import Counter, Gauge, Histogram

from b2b_chat.contract.schemas import ChatRequest, ChatResult, Usage
from b2b_chat.kit.database import is_outage
from b2b_chat.kit.metrics import ANSWER_BUCKETS_SECONDS
from b2b_chat.kit.tracing import Attributes, span
from b2b_chat.product.chat.failures import ANSWER_FAILURES, AnswerDefect, ClientDisconnected, Interrupted
from b2b_chat.product.chat.models import MessageStatus
from b2b_chat.product.chat.repository import Attempt, RunRepository
from b2b_chat.product.chat.run import Run
from b2b_chat.product.chat.schemas import AnswerUsage, ChatAnswer
from b2b_chat.product.credits.pricing import Prices, estimate_usage
from b2b_chat.product.gateway_client import AnswerFailed, GatewayClient

_PERSIST_RETRY_SECONDS: Final = 0.25
_DRAIN_POLL_SECONDS: Final = 0.02

_ANSWERS = Counter(
    "product_answers", "Answers by how they ended, and the code of those that failed.", ["status", "code"]
)
_RUNS = Gauge("product_runs", "Answers that are being written.")
_FIRST_DELTA_SECONDS = Histogram(
    "product_first_delta_seconds", "Time from a message's admission to its first delta.", buckets=ANSWER_BUCKETS_SECONDS
)
_TOKENS = Counter("product_tokens", "Tokens that were charged for.", ["kind"])
_CREDITS = Counter("product_charged_credits", "Credits that were charged.")
_answers, _tokens = cache(_ANSWERS.labels), cache(_TOKENS.labels)  # looking one up costs more than counting

ResultT = TypeVar("ResultT")
log = structlog.get_logger(__name__)


class RunOptions(Struct, frozen=True):
    """How runs are kept."""

    lease_seconds: float
    resume_window_seconds: float


class _Live:
    """What is needed to end a run early: its task while that talks to the gateway, and why it is cancelled."""

    def __init__(self) -> None:
        self.stopped = False
        self.failure: AnswerFailed | None = None
        self._talking: asyncio.Task[Any] | None = None
        self._is_over = False
        self._is_cut = False

    def cut(self) -> bool:
        """End the talk before its end; False where it has ended."""
        if self._talking is not None and not self._is_cut:
            self._talking.cancel()
        self._is_cut = self._is_cut or not self._is_over
        return not self._is_over

    async def talk(self, talk: Coroutine[Any, Any, ChatResult]) -> ChatResult | None:
        """Let a talk go on in the running task; None where it was cut."""
        if self._is_cut:  # before it began
            talk.close()
            return None
        self._talking = asyncio.current_task()
        try:
            return await talk
        except asyncio.CancelledError:
            if self._talking is None or not self._is_cut:
                raise
            self._talking.uncancel()
            return None
        finally:
            self._talking, self._is_over = None, True


class Runs:
    """Starts runs, sees them through, and stores how they end."""

    def __init__(self, repository: RunRepository, gateway: GatewayClient, prices: Prices, options: RunOptions) -> None:
        self._repository = repository
        self._gateway = gateway
        self._prices = prices
        self._options = options
        self._runs: dict[UUID, Run] = {}
        self._live: dict[UUID, _Live] = {}
        self._owners: set[asyncio.Task[None]] = set()
        _RUNS.set_function(self._live.__len__)
        for failure in ANSWER_FAILURES:
            _ANSWERS.labels(MessageStatus.ERROR.value, failure.code)  # a first failure must be a rise, no new series

    def find(self, assistant_message_id: UUID) -> Run | None:
        """The run of an answer, where this process is writing it."""
        return self._runs.get(assistant_message_id)

    async def join(self, assistant_message_id: UUID) -> Run | None:
        """The run as `find` knows it; one that is being given up is waited for, and then is none."""
        run = self._runs.get(assistant_message_id)
        if run is None or not self.is_given_up(assistant_message_id):
            return run
        with suppress(AnswerFailed):
            await run.ended()
        return None

    def is_given_up(self, assistant_message_id: UUID) -> bool:
        """Whether the answer is about to fail: it is no run to join any more."""
        live = self._live.get(assistant_message_id)
        return live is not None and live.failure is not None

    @property
    def live(self) -> list[UUID]:
        """The answers that are being written."""
        return list(self._live)

    def reserve(self, run: Run) -> None:
        """Make a run known before it is admitted, so that whoever sees it in the database finds it here."""
        self._runs[run.assistant_message_id] = run

    def discard(self, run: Run) -> None:
        """Forget a reserved run that was not admitted."""
        del self._runs[run.assistant_message_id]
        run.finish(Interrupted())

    def start(self, run: Run, request: ChatRequest) -> None:
        """Let a reserved and admitted run begin."""
        live = self._live[run.assistant_message_id] = _Live()
        run.on_unread = lambda: self._leave_unread(run)
        owner = asyncio.create_task(self._own(run, live, request))
        self._owners.add(owner)
        owner.add_done_callback(self._owners.discard)

    def stop(self, assistant_message_id: UUID) -> None:
        """End a run at its user's wish: the gateway call is closed, what there is of the answer is kept."""
        live = self._live.get(assistant_message_id)
        if live is not None and live.cut():
            live.stopped = True

    async def drain(self, grace_seconds: float) -> None:
        """Let running answers finish for a while, those that are just being admitted too; interrupt the rest."""
        deadline = asyncio.get_running_loop().time() + grace_seconds
        while self._runs:
            if asyncio.get_running_loop().time() >= deadline:
                for assistant_message_id in self.live:
                    self._give_up(assistant_message_id, Interrupted())
            await asyncio.sleep(_DRAIN_POLL_SECONDS)

    def _leave_unread(self, run: Run) -> None:
        """End the run, unless a reader comes back within the resume window."""
        departure = run.departures

        def give_up_if_unread() -> None:
            # Who came back and left again began a window of his own.
            if run.is_unread and run.departures == departure:
                self._give_up(run.assistant_message_id, ClientDisconnected())

        if self._options.resume_window_seconds:
            asyncio.get_running_loop().call_later(self._options.resume_window_seconds, give_up_if_unread)
        else:
            give_up_if_unread()

    def _give_up(self, assistant_message_id: UUID, failure: AnswerFailed) -> None:
        live = self._live.get(assistant_message_id)
        if live is not None and live.cut():
            live.failure = live.failure or failure

    async def _own(self, run: Run, live: _Live, request: ChatRequest) -> None:
        """See a run through: talk to the gateway, then settle or fail, whatever happens to the clients."""
        outcome: ChatAnswer | AnswerFailed
        try:
            outcome = await self._outcome(run, live, request)
        except Exception as error:  # noqa: BLE001 - whatever it was, the readers must be told
            outcome = _as_failure(error)
        del self._live[run.assistant_message_id]
        del self._runs[run.assistant_message_id]
        run.finish(outcome)

    async def _outcome(self, run: Run, live: _Live, request: ChatRequest) -> ChatAnswer | AnswerFailed:
        try:
            result = await live.talk(self._traced(run, request))
        except Exception as error:  # noqa: BLE001 - a failure to be stored, whatever it was
            return await self._fail(run, _as_failure(error))
        if result is None:
            return await self._end_early(run, live, request)
        return await self._settle(run, request, result.usage, MessageStatus.COMPLETED)

    async def _traced(self, run: Run, request: ChatRequest) -> ChatResult:
        def attributes() -> Attributes:
            return {
                "http.request.method": "POST",
                "b2b_chat.conversation_id": str(run.conversation_id),
                "b2b_chat.assistant_message_id": str(run.assistant_message_id),
            }

        with span("POST /v1/chat", "client", attributes):
            return await self._talk(run, request)

    async def _talk(self, run: Run, request: ChatRequest) -> ChatResult:
        if not request.stream:
            result = await self._gateway.complete(request)
            if result.text:
                run.publish(result.text)
            return result
        loop = asyncio.get_running_loop()
        started_at = loop.time()

        def hear(text: str) -> None:
            if not run.pieces:
                _FIRST_DELTA_SECONDS.observe(loop.time() - started_at)
            run.publish(text)

        result = await self._gateway.stream(request, hear)
        # The result is the whole answer, whatever part of it came as deltas.
        text = run.text
        if result.text != text and result.text.startswith(text):
            run.publish(result.text[len(text) :])
        return result

    async def _end_early(self, run: Run, live: _Live, request: ChatRequest) -> ChatAnswer | AnswerFailed:
        if live.stopped and live.failure is None:
            return await self._settle(run, request, None, MessageStatus.STOPPED)
        return await self._fail(run, live.failure or Interrupted())

    async def _settle(
        self, run: Run, request: ChatRequest, counted: Usage | None, status: MessageStatus
    ) -> ChatAnswer | AnswerFailed:
        """Store the answer and charge for it; where the upstream did not count, by an estimate that says so."""
        text = run.text
        usage = counted or estimate_usage(request.messages, text)
        answer_usage = AnswerUsage(
            usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, estimated=counted is None
        )
        cost = self._prices.cost(usage.prompt_tokens, usage.completion_tokens)
        usage_json = msgspec.json.encode(answer_usage)
        settled = await self._persist(
            lambda: self._repository.settle(_attempt(run), text, usage_json, cost, status=status)
        )
        if settled is None:  # the lease had run out, and the sweeper was here first
            return Interrupted()
        charge, balance = settled
        _answers(status.value, "").inc()
        _tokens("prompt").inc(usage.prompt_tokens)
        _tokens("completion").inc(usage.completion_tokens)
        _CREDITS.inc(float(charge))
        return ChatAnswer(
            conversation_id=run.conversation_id,
            user_message_id=run.user_message_id,
            assistant_message_id=run.assistant_message_id,
            status="stopped" if status is MessageStatus.STOPPED else "completed",
            text=text,
            usage=answer_usage,
            charge_credits=charge,
            balance_credits=balance,
        )

    async def _fail(self, run: Run, failure: AnswerFailed) -> AnswerFailed:
        _ANSWERS.labels(MessageStatus.ERROR.value, failure.code).inc()
        log.warning("answer_failed", assistant_message_id=run.assistant_message_id, code=failure.code)
        with suppress(Interrupted):
            await self._persist(lambda: self._repository.fail(_attempt(run), failure.code))
        return failure

    async def _persist(self, write: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Repeat a write while the database is away, for as long as the lease may hold.

        Raises:
            Interrupted: The database stayed away; the sweeper will mark the answer.
        """
        deadline = asyncio.get_running_loop().time() + self._options.lease_seconds
        while True:
            try:
                return await write()
            except Exception as error:
                if not is_outage(error):
                    raise
                if asyncio.get_running_loop().time() > deadline:
                    raise Interrupted from error
            await asyncio.sleep(_PERSIST_RETRY_SECONDS)


def _attempt(run: Run) -> Attempt:
    return Attempt(run.company_id, run.assistant_message_id, run.attempt)


def _as_failure(error: BaseException) -> AnswerFailed:
    if isinstance(error, AnswerFailed):
        return error
    log.error("run_defect", exc_info=error)
    return AnswerDefect()
