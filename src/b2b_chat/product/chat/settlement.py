"""How an attempt ends in the database: the answer stored and charged, or the failure stored and the hold freed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from functools import cache
from typing import Final, Literal, TypeAlias, TypeVar

import structlog
from msgspec import UNSET
from prometheus_client import Counter

from b2b_chat.contract.schemas import ChatRequest, ChatResult
from b2b_chat.kit.backoff import backed_off
from b2b_chat.kit.database import is_outage
from b2b_chat.kit.fair_gate import FairGate
from b2b_chat.product.chat.answer_log import AnswerLog, Ended
from b2b_chat.product.chat.counting import Count, Counting
from b2b_chat.product.chat.failures import ANSWER_FAILURES, AnswerFailed, Interrupted
from b2b_chat.product.chat.repository import Attempt, Ending, RunRepository
from b2b_chat.product.chat.schemas import ChatAnswer
from b2b_chat.product.conversations.schemas import AnswerUsage
from b2b_chat.product.conversations.status import CutBy
from b2b_chat.product.credits.pricing import Prices
from b2b_chat.product.settings import ProductSettings

_PERSIST_RETRY_SECONDS: Final = 0.25
_PERSIST_RETRY_CAP_SECONDS: Final = 4.0
"""A database whose disk is full has many runs waiting to write."""

_ANSWERS = Counter(
    "product_answers", "Answers by how they ended, and the code of those that failed.", ["status", "code"]
)
_TOKENS = Counter("product_tokens", "Tokens that were charged for.", ["kind"])
_CREDITS = Counter("product_charged_credits", "Credits that were charged.")
_ABANDONED = Counter("product_abandoned_credits", "Credits that were charged for answers given up without a reader.")
_answers, _tokens = cache(_ANSWERS.labels), cache(_TOKENS.labels)  # looking one up costs more than counting

ResultT = TypeVar("ResultT")
Outcome: TypeAlias = ChatAnswer | AnswerFailed
log = structlog.get_logger(__name__)


class Settlement:
    """Stores how attempts end."""

    def __init__(self, repository: RunRepository, prices: Prices, settings: ProductSettings) -> None:
        self._repository = repository
        self._prices = prices
        self._counting = Counting()
        # Not the gate of the sends: one of them may wait inside for an earlier answer to end.
        self._gate = FairGate.of(settings.chat_settlements_at_once)
        self._lease_seconds = settings.chat_lease_seconds
        self._max_completion_tokens = settings.chat_max_completion_tokens
        for failure in ANSWER_FAILURES:
            _ANSWERS.labels("error", failure.code)  # a first failure must be a rise, no new series

    async def complete(self, answer: AnswerLog, request: ChatRequest, result: ChatResult) -> Outcome:
        """Store the answer and charge for it; where the upstream did not count, by a flagged estimate."""
        ended = Ended("completed", result.finish_reason, self._cut_by(answer, request, result))
        return await self._keep(answer, ended, await self._counting.of_whole(answer, request, result.usage))

    async def stop(self, answer: AnswerLog, request: ChatRequest) -> Outcome:
        """Store an answer that its user stopped, and charge for it by a flagged estimate."""
        return await self._keep(answer, Ended("stopped"), await self._counting.of_part(answer, request))

    async def abandon(self, answer: AnswerLog, request: ChatRequest, failure: AnswerFailed) -> AnswerFailed:
        """Store an answer that lost its last reader: it has failed, and what was delivered is kept and charged for."""
        if not answer.has_begun:
            return await self.fail(answer, failure)
        _note(answer, failure)
        ending = self._ending(answer, "error", await self._counting.of_part(answer, request))
        if (settled := await self._settle(answer, ending._replace(error_code=failure.code))) is not None:
            _ABANDONED.inc(float(settled[0]))
        return failure

    async def fail(self, answer: AnswerLog, failure: AnswerFailed) -> AnswerFailed:
        """Store why there is no answer, and free the hold."""
        _note(answer, failure)
        with suppress(Interrupted):
            await self._persist(answer, lambda: self._repository.fail(_attempt(answer), failure.code))
        return failure

    async def restart(self, answer: AnswerLog) -> bool:
        """Make an attempt that failed in mid-answer the next one, under the same hold; False where it is not live."""
        try:
            return await self._persist(answer, lambda: self._repository.restart(_attempt(answer)))
        except Interrupted:
            return False

    async def _keep(self, answer: AnswerLog, ended: Ended, count: Count) -> Outcome:
        ending = self._ending(answer, ended.status, count)._replace(
            finish_reason=ended.finish_reason,
            cut_by=ended.cut_by,
            completion_tokens=count.usage.completion_tokens if ended.status == "completed" else None,
        )
        settled = await self._settle(answer, ending)
        if settled is None:  # the lease had run out, and the sweeper was here first
            return Interrupted()
        _answers(ended.status, "").inc()
        return answer.answer(ended, ending.usage, *settled)

    def _ending(self, answer: AnswerLog, status: Literal["completed", "stopped", "error"], count: Count) -> Ending:
        used = count.usage
        usage = AnswerUsage(
            used.prompt_tokens,
            used.completion_tokens,
            used.total_tokens,
            estimated=count.is_estimated,
            cached_tokens=UNSET if used.cached_tokens is None else used.cached_tokens,
            reasoning_tokens=UNSET if used.reasoning_tokens is None else used.reasoning_tokens,
        )
        return Ending(
            status,
            answer.text,
            count.text_tokens,
            usage,
            self._prices.cost(used),
            masks=answer.masks,
            beside_text=answer.beside_text,
        )

    async def _settle(self, answer: AnswerLog, ending: Ending) -> tuple[Decimal, Decimal] | None:
        settled = await self._persist(answer, lambda: self._repository.settle(_attempt(answer), ending))
        if settled is not None:
            _tokens("prompt").inc(ending.usage.prompt_tokens)
            _tokens("completion").inc(ending.usage.completion_tokens)
            _CREDITS.inc(float(settled[0]))
        return settled

    def _cut_by(self, answer: AnswerLog, request: ChatRequest, result: ChatResult) -> CutBy | None:
        """Name the limit that ended an answer."""
        if result.finish_reason != "length":
            return None
        if result.usage is not None and result.usage.completion_tokens < request.max_completion_tokens:
            return "model"
        wanted = answer.wanted_tokens or self._max_completion_tokens
        return "balance" if request.max_completion_tokens < min(wanted, self._max_completion_tokens) else "limit"

    async def _persist(self, answer: AnswerLog, write: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Write when it is the company's turn, and again while the database is away, for as long as the lease may hold.

        Raises:
            Interrupted: The database stayed away; the sweeper will mark the answer.
        """
        deadline = asyncio.get_running_loop().time() + self._lease_seconds
        waits = backed_off(_PERSIST_RETRY_SECONDS, cap_seconds=_PERSIST_RETRY_CAP_SECONDS)
        while True:
            try:
                async with self._gate.passing(answer.company_id):
                    return await write()
            except Exception as error:
                if not is_outage(error):
                    raise
                if asyncio.get_running_loop().time() > deadline:
                    raise Interrupted from error
            await asyncio.sleep(next(waits))


def _note(answer: AnswerLog, failure: AnswerFailed) -> None:
    _ANSWERS.labels("error", failure.code).inc()
    log.warning("answer_failed", assistant_message_id=answer.assistant_message_id, code=failure.code)


def _attempt(answer: AnswerLog) -> Attempt:
    return Attempt(answer.company_id, answer.assistant_message_id, answer.attempt)
