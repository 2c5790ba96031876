"""What an answer can be at most, given what was asked: a gateway that sends more is not believed."""

from typing import Final

from msgspec import structs

from b2b_chat.contract.content import MAX_TOOL_CALLS
from b2b_chat.contract.schemas import ChatRequest, ChatResult, Usage
from b2b_chat.product.chat.failures import AnswerCut
from b2b_chat.product.credits.pricing import max_prompt_tokens

MAX_BYTES_PER_TOKEN: Final = 128
"""The longest token of `o200k_base`: 128 spaces."""
_MAX_ESCAPED_BYTES: Final = 6
"""A byte of a text as JSON: a control character becomes an escape of six."""
_SPARE_BYTES: Final = 16_384
"""What an answer has beside its text, and more than the few tokens by which a model exceeds its limit."""
_MAX_TEXT_BYTES: Final = 8 * 1024 * 1024
_SPARE_TOKENS: Final = 10_000
"""More than what an upstream adds to a prompt on its own."""
_MAX_TOKENS: Final = 2**31 - 1
"""No model counts so many; a count above it is no count."""


class AnswerBounds:
    """The most that a gateway may send in answer to a request."""

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        text_bytes = min(request.max_completion_tokens * MAX_BYTES_PER_TOKEN, _MAX_TEXT_BYTES) + _SPARE_BYTES
        self._text_characters = text_bytes
        self.body_bytes = _MAX_ESCAPED_BYTES * text_bytes
        """Of the whole text as JSON."""

    def check_text(self, characters: int) -> None:
        """Refuse a text, arguments of calls included, that is longer than what was asked for.

        Raises:
            AnswerCut: It is.
        """
        if characters > self._text_characters:
            raise AnswerCut

    def believable(self, result: ChatResult) -> ChatResult:
        """Return the result, without usage where that is more than is possible: then it is estimated.

        Raises:
            AnswerCut: The answer is longer than what was asked for, or the usage has numbers that no model counts.
        """
        if len(result.calls) > MAX_TOOL_CALLS:
            raise AnswerCut
        self.check_text(len(result.text) + sum(len(call.function.arguments) for call in result.calls))
        usage = result.usage
        if usage is None or self._allow(usage):
            return result
        if max(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) > _MAX_TOKENS:
            raise AnswerCut
        return structs.replace(result, usage=None)

    def _allow(self, usage: Usage) -> bool:
        completion_tokens = self._request.max_completion_tokens + _SPARE_TOKENS
        prompt_tokens = _SPARE_TOKENS
        if usage.prompt_tokens > prompt_tokens:  # else there is no need to know more exactly
            prompt_tokens += max_prompt_tokens(self._request)
        return (
            usage.prompt_tokens <= prompt_tokens
            and usage.completion_tokens <= completion_tokens
            and usage.total_tokens <= prompt_tokens + completion_tokens
        )
