"""The usage of an answer: as the upstream counted it or, where it did not, an estimate."""

from typing import NamedTuple

from b2b_chat.contract.schemas import ChatRequest, Usage
from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.calls import message_tokens, options_tokens
from b2b_chat.product.chat.pace import HiddenTokens, hidden_tokens
from b2b_chat.product.credits.pricing import prompt_tokens
from b2b_chat.product.credits.tokens import count_tokens


class Count(NamedTuple):
    """The tokens of an answer and its prompt."""

    usage: Usage
    text_tokens: int
    """Those of the completion that are its text."""
    is_estimated: bool


class Counting:
    """Counts answers, and learns from those that the upstream counted."""

    def __init__(self) -> None:
        self._hidden = HiddenTokens()

    async def of_whole(self, answer: AnswerLog, request: ChatRequest, usage: Usage | None) -> Count:
        """Return the count of an answer that has reached its own end."""
        if usage is None:
            return await self._estimate(request, await count_tokens(answer.crossed), hidden=0)
        if usage.reasoning_tokens is None:
            text_tokens = await count_tokens(answer.crossed)
        else:
            text_tokens = max(0, usage.completion_tokens - usage.reasoning_tokens)
        if request.stream:
            hidden = hidden_tokens(usage.completion_tokens, usage.reasoning_tokens, text_tokens)
            self._hidden.observe(answer.pace, hidden)
        return Count(usage, text_tokens, is_estimated=False)

    async def of_part(self, answer: AnswerLog, request: ChatRequest) -> Count:
        """Return the count of an answer that was ended early, with an estimate of its hidden tokens."""
        text_tokens = await count_tokens(answer.crossed)
        return await self._estimate(request, text_tokens, hidden=self._hidden.estimate(answer.pace, text_tokens))

    async def _estimate(self, request: ChatRequest, text_tokens: int, *, hidden: int) -> Count:
        tokens = [await message_tokens(message) for message in request.messages]
        prompt = prompt_tokens(tokens) + await options_tokens(request)
        completion = min(text_tokens + hidden, request.max_completion_tokens)
        return Count(Usage(prompt, completion, prompt + completion), text_tokens, is_estimated=True)
