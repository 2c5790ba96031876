"""How an attempt ends in the database: the answer stored and charged, or the failure stored and the hold freed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache
from typing import Final, Literal, TypeVar

import msgspec
import structlog
from prometheus_client import Counter

from b2b_chat.contract.schemas import ChatRequest, Usage
from b2b_chat.kit.database import is_outage
from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.failures import ANSWER_FAILURES, AnswerFailed, Interrupted
from b2b_chat.product.chat.repository import Attempt, RunRepository
from b2b_chat.product.chat.schemas import ChatAnswer
from b2b_chat.product.conversations.schemas import AnswerUsage
from b2b_chat.product.credits.pricing import Prices, estimate_usage

_PERSIST_RETRY_SECONDS: Final = 0.25

_ANSWERS = Counter(
    "product_answers", "Answers by how they ended, and the code of those that failed.", ["status", "code"]
)
_TOKENS = Counter("product_tokens", "Tokens that were charged for.", ["kind"])
_CREDITS = Counter("product_charged_credits", "Credits that were charged.")
_answers, _tokens = cache(_ANSWERS.labels), cache(_TOKENS.labels)  # looking one up costs more than counting

ResultT = TypeVar("ResultT")
log = structlog.get_logger(__name__)


class Settlement:
    """Stores how attempts end.

    Args:
        repository: The statements.
        prices: What tokens cost.
        lease_seconds: How long a write is repeated while the database is away.
    """

    def __init__(self, repository: RunRepository, prices: Prices, *, lease_seconds: float) -> None:
        self._repository = repository
        self._prices = prices
        self._lease_seconds = lease_seconds
        for failure in ANSWER_FAILURES:
            _ANSWERS.labels("error", failure.code)  # a first failure must be a rise, no new series

    async def settle(
        self, answer: AnswerLog, request: ChatRequest, counted: Usage | None, status: Literal["completed", "stopped"]
    ) -> ChatAnswer | AnswerFailed:
        """Store the answer and charge for it; where the upstream did not count, by a flagged estimate."""
        text = answer.text
        usage = counted or estimate_usage(request.messages, text)
        answer_usage = AnswerUsage(
            usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, estimated=counted is None
        )
        cost = self._prices.cost(usage)
        usage_json = msgspec.json.encode(answer_usage)
        settled = await self._persist(
            lambda: self._repository.settle(_attempt(answer), text, usage_json, cost, status=status)
        )
        if settled is None:  # the lease had run out, and the sweeper was here first
            return Interrupted()
        charge, balance = settled
        _answers(status, "").inc()
        _tokens("prompt").inc(usage.prompt_tokens)
        _tokens("completion").inc(usage.completion_tokens)
        _CREDITS.inc(float(charge))
        return answer.answer(status, answer_usage, charge, balance)

    async def fail(self, answer: AnswerLog, failure: AnswerFailed) -> AnswerFailed:
        """Store why there is no answer, and free the hold."""
        _ANSWERS.labels("error", failure.code).inc()
        log.warning("answer_failed", assistant_message_id=answer.assistant_message_id, code=failure.code)
        with suppress(Interrupted):
            await self._persist(lambda: self._repository.fail(_attempt(answer), failure.code))
        return failure

    async def _persist(self, write: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Repeat a write while the database is away, for as long as the lease may hold.

        Raises:
            Interrupted: The database stayed away; the sweeper will mark the answer.
        """
        deadline = asyncio.get_running_loop().time() + self._lease_seconds
        while True:
            try:
                return await write()
            except Exception as error:
                if not is_outage(error):
                    raise
                if asyncio.get_running_loop().time() > deadline:
                    raise Interrupted from error
            await asyncio.sleep(_PERSIST_RETRY_SECONDS)


def _attempt(answer: AnswerLog) -> Attempt:
    return Attempt(answer.company_id, answer.assistant_message_id, answer.attempt)
