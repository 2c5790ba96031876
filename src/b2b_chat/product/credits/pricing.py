"""What tokens cost, and what a message can cost at most. Credits are decimals with six places, never floats."""

from collections.abc import Collection
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from b2b_chat.contract.content import ImagePart
from b2b_chat.contract.schemas import ChatMessage, ChatRequest, Usage

_UNIT: Final = Decimal("0.000001")
_PER: Final = 1000
# A token of any byte-level tokenizer covers at least one byte; the chat format adds a few tokens a message.
_MAX_FORMAT_TOKENS_PER_MESSAGE: Final = 16
FORMAT_TOKENS_PER_MESSAGE: Final = 4
"""The role, and three that mark the message's bounds."""
FORMAT_TOKENS: Final = 3
"""The start of the answer."""
_MAX_TOKENS_PER_IMAGE: Final = 70 + 8 * 140
_TOKENS_PER_SMALL_IMAGE: Final = 70
_MARGIN_PERCENT: Final = 5
_MARGIN_TOKENS: Final = 16


class Prices(Struct, frozen=True):
    """Credits for a thousand tokens."""

    prompt_credits_per_1k_tokens: Decimal
    completion_credits_per_1k_tokens: Decimal

    def cost(self, usage: Usage) -> Decimal:
        """The price of these tokens, rounded up to a millionth of a credit."""
        exact = (
            self.prompt_credits_per_1k_tokens * usage.prompt_tokens
            + self.completion_credits_per_1k_tokens * usage.completion_tokens
        ) / _PER
        return exact.quantize(_UNIT, ROUND_CEILING)

    def affordable_completion_tokens(self, available_credits: Decimal, prompt_tokens: int) -> int:
        """How many tokens of an answer are paid for by what is left after the prompt; may be negative."""
        left = available_credits - self.cost(Usage(prompt_tokens, 0, prompt_tokens))
        return int((left * _PER / self.completion_credits_per_1k_tokens).to_integral_value(ROUND_FLOOR))


def image_tokens(image: ImagePart) -> int:
    """Return the most tokens that an image has at its level of detail.

    At `low` it has a base of 70. Else it is scaled to fit 2048 x 2048 with a shorter side of 768 at most, and each
    tile of 512 x 512 adds 140; there are 8 of them at most.

    Source: https://platform.openai.com/docs/guides/images-vision#calculating-costs
    """
    return _TOKENS_PER_SMALL_IMAGE if image.image_url.detail == "low" else _MAX_TOKENS_PER_IMAGE


def max_prompt_tokens(request: ChatRequest) -> int:
    """An upper bound of the tokens that any tokenizer counts the messages, tools and schema of a request as."""
    return sum(map(_max_message_tokens, request.messages)) + sum(
        len(msgspec.json.encode(each)) + _MAX_FORMAT_TOKENS_PER_MESSAGE for each in request.definitions
    )


def _max_message_tokens(message: ChatMessage) -> int:
    if isinstance(message.content, str) and message.tool_calls is UNSET:
        return len(message.content.encode()) + _MAX_FORMAT_TOKENS_PER_MESSAGE
    texts = message.texts
    texts += [text for call in message.calls for text in (call.function.name, call.function.arguments)]
    pieces = 1 + len(texts) + len(message.images)
    images = sum(map(image_tokens, message.images))
    return sum(len(text.encode()) for text in texts) + images + pieces * _MAX_FORMAT_TOKENS_PER_MESSAGE


def prompt_tokens(text_tokens: Collection[int]) -> int:
    """Return how many tokens a prompt has whose messages have so many each: the chat format adds some.

    Source: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
    """
    return sum(text_tokens) + FORMAT_TOKENS_PER_MESSAGE * len(text_tokens) + FORMAT_TOKENS


def with_margin(tokens: int) -> int:
    """Return more tokens than the upstream counts where we count so many."""
    return tokens + -(-tokens * _MARGIN_PERCENT // 100) + _MARGIN_TOKENS
