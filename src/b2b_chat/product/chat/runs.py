"""Runs: each answer that is being written belongs to a task of its own, not to the client who asked.

Readers follow a run's log and may come and go. A slow reader costs nothing but its place in the log: it gets all
that has come since as one piece.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from typing import Final, TypeVar
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct

from b2b_chat.contract.schemas import ChatRequest, ChatResult
from b2b_chat.kit.database import is_outage
from b2b_chat.product.chat.repository import Attempt, RunRepository
from b2b_chat.product.chat.schemas import AnswerUsage, ChatAnswer
from b2b_chat.product.credits.pricing import Prices, estimate_usage
from b2b_chat.product.gateway_client import AnswerFailed, GatewayClient

_PERSIST_RETRY_SECONDS: Final = 0.25
_UNSTORABLE: Final = {0: "\N{REPLACEMENT CHARACTER}"}

ResultT = TypeVar("ResultT")
log = structlog.get_logger(__name__)


class ClientDisconnected(AnswerFailed):
    """Nobody was left to read the answer."""

    code, status = "client_disconnected", 499
    message = "The client left before the answer was complete. Send the message again with the same client_message_id."


class Interrupted(AnswerFailed):
    """The process that wrote the answer ended, or lost its right to."""

    code, status = "interrupted", 503
    message = "The answer was interrupted. Send the message again with the same client_message_id."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


class AnswerDefect(AnswerFailed):
    """A defect of ours ended the run."""

    code, status = "internal_error", 500
    message = "The server failed. Its log has the request id."


class Run:
    """The log of one attempt at an answer, and how it ended."""

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
        self.on_unread: Callable[[], None] | None = None
        self._readers = 0
        self._waiting: list[asyncio.Future[None]] = []

    @classmethod
    def finished(cls, answer: ChatAnswer, *, company_id: UUID, attempt: int) -> "Run":
        """The run of an answer that is stored already."""
        run = cls(
            company_id=company_id,
            conversation_id=answer.conversation_id,
            user_message_id=answer.user_message_id,
            assistant_message_id=answer.assistant_message_id,
        )
        run.attempt = attempt
        if answer.text:
            run.pieces.append(answer.text)
        run.outcome = answer
        return run

    def publish(self, piece: str) -> None:
        """Add a piece of the answer."""
        self.pieces.append(piece.translate(_UNSTORABLE) if "\0" in piece else piece)
        self._wake()

    def finish(self, outcome: ChatAnswer | AnswerFailed) -> None:
        """Say how the run ended."""
        self.outcome = outcome
        self._wake()

    async def changed(self, seen: int) -> None:
        """Return when there are more than `seen` pieces, or the run has ended."""
        if self.outcome is None and len(self.pieces) <= seen:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting

    async def ended(self) -> ChatAnswer:
        """Wait for the answer.

        Raises:
            AnswerFailed: There is none.
        """
        while self.outcome is None:
            await self.changed(len(self.pieces))
        if isinstance(self.outcome, AnswerFailed):
            raise self.outcome
        return self.outcome

    def attach(self) -> None:
        """Count a reader in; every one must `detach`."""
        self._readers += 1

    def detach(self) -> None:
        """Count a reader out; the run is told when the last one leaves."""
        self._readers -= 1
        if self.outcome is None and self.is_unread and self.on_unread is not None:
            self.on_unread()

    @property
    def is_unread(self) -> bool:
        """Whether nobody follows the run now."""
        return self._readers == 0

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class RunOptions(Struct, frozen=True):
    """How runs are kept."""

    lease_seconds: float
    resume_window_seconds: float


class Runs:
    """The runs of this process: starts them, sees them through, and stores how they end."""

    def __init__(self, repository: RunRepository, gateway: GatewayClient, prices: Prices, options: RunOptions) -> None:
        self._repository = repository
        self._gateway = gateway
        self._prices = prices
        self._options = options
        self._runs: dict[UUID, Run] = {}
        self._talks: dict[UUID, asyncio.Task[ChatResult]] = {}
        self._owners: set[asyncio.Task[None]] = set()
        self._reasons: dict[UUID, AnswerFailed] = {}

    def find(self, assistant_message_id: UUID) -> Run | None:
        """The run of an answer, where this process is writing it."""
        return self._runs.get(assistant_message_id)

    def reserve(self, run: Run) -> None:
        """Make a run known before it is admitted, so that whoever sees it in the database finds it here."""
        self._runs[run.assistant_message_id] = run

    def discard(self, run: Run, reason: AnswerFailed | None = None) -> None:
        """Forget a reserved run that was not admitted."""
        self._runs.pop(run.assistant_message_id, None)
        run.finish(reason or Interrupted())

    def start(self, run: Run, request: ChatRequest) -> None:
        """Let a reserved and admitted run begin."""
        run.on_unread = lambda: self._leave_unread(run)
        owner = asyncio.create_task(self._own(run, request))
        self._owners.add(owner)
        owner.add_done_callback(self._owners.discard)

    @property
    def live(self) -> list[UUID]:
        """The answers that are being written."""
        return list(self._talks)

    async def drain(self, grace_seconds: float) -> None:
        """Let running answers finish for a while, then end the rest as interrupted."""
        if self._owners:
            await asyncio.wait(self._owners, timeout=grace_seconds)
        for assistant_message_id in self.live:
            self._end(assistant_message_id, Interrupted())
        if self._owners:
            await asyncio.wait(self._owners)

    def _leave_unread(self, run: Run) -> None:
        """End the run, unless a reader comes back within the resume window."""

        def end_if_unread() -> None:
            if run.is_unread:
                self._end(run.assistant_message_id, ClientDisconnected())

        asyncio.get_running_loop().call_later(self._options.resume_window_seconds, end_if_unread)

    def _end(self, assistant_message_id: UUID, reason: AnswerFailed) -> None:
        """Hang up on the gateway; the run's owner then stores why."""
        talk = self._talks.get(assistant_message_id)
        if talk is not None and not talk.done():
            self._reasons.setdefault(assistant_message_id, reason)
            talk.cancel()

    async def _own(self, run: Run, request: ChatRequest) -> None:
        """See a run through: talk to the gateway, then settle or fail, whatever happens to the clients."""
        talk = self._talks[run.assistant_message_id] = asyncio.create_task(self._talk(run, request))
        await asyncio.wait({talk})
        outcome: ChatAnswer | AnswerFailed
        try:
            if talk.cancelled():
                outcome = await self._fail(run, self._reasons.get(run.assistant_message_id) or Interrupted())
            elif (error := talk.exception()) is not None:
                outcome = await self._fail(run, _as_failure(error))
            else:
                outcome = await self._settle(run, request, talk.result())
        except Exception as error:  # whatever it was, the readers must be told and the lease must run out
            log.exception("run_failed", assistant_message_id=run.assistant_message_id)
            outcome = _as_failure(error)
        del self._talks[run.assistant_message_id]
        self._reasons.pop(run.assistant_message_id, None)
        self._runs.pop(run.assistant_message_id, None)
        run.finish(outcome)

    async def _talk(self, run: Run, request: ChatRequest) -> ChatResult:
        if not request.stream:
            result = await self._gateway.complete(request)
            if result.text:
                run.publish(result.text)
            return result
        async for item in self._gateway.stream(request):
            if isinstance(item, ChatResult):
                return item
            run.publish(item)
        raise Interrupted

    async def _settle(self, run: Run, request: ChatRequest, result: ChatResult) -> ChatAnswer | AnswerFailed:
        usage = result.usage or estimate_usage(request.messages, result.text)
        answer_usage = AnswerUsage(
            usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, estimated=result.usage is None
        )
        text = "".join(run.pieces)
        cost = self._prices.cost(usage.prompt_tokens, usage.completion_tokens)
        settled = await self._persist(
            lambda: self._repository.settle(_attempt(run), text, msgspec.json.encode(answer_usage), cost)
        )
        if settled is None:
            return Interrupted()
        charge, balance = settled
        return _answer(run, text, answer_usage, charge, balance)

    async def _fail(self, run: Run, reason: AnswerFailed) -> AnswerFailed:
        log.warning("answer_failed", assistant_message_id=run.assistant_message_id, code=reason.code)
        with suppress(AnswerFailed):
            await self._persist(lambda: self._repository.fail(_attempt(run), reason.code))
        return reason

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


def _answer(run: Run, text: str, usage: AnswerUsage, charge: Decimal, balance: Decimal) -> ChatAnswer:
    return ChatAnswer(
        conversation_id=run.conversation_id,
        user_message_id=run.user_message_id,
        assistant_message_id=run.assistant_message_id,
        status="completed",
        text=text,
        usage=usage,
        charge_credits=charge,
        balance_credits=balance,
    )


def _as_failure(error: BaseException) -> AnswerFailed:
    if isinstance(error, AnswerFailed):
        return error
    log.error("run_defect", exc_info=error)
    return AnswerDefect()
