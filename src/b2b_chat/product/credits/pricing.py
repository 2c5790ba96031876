"""What tokens cost, and what a message can cost at most. Credits are decimals with six places, never floats."""

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from msgspec import Struct

from b2b_chat.contract.schemas import ChatMessage, Usage

_UNIT: Final = Decimal("0.000001")
_PER: Final = 1000
# A token of any byte-level tokenizer covers at least one byte; the chat format adds a few tokens a message.
_FORMAT_TOKENS_PER_MESSAGE: Final = 16
_BYTES_PER_TOKEN_ESTIMATE: Final = 4
_LIKELY_BYTES_PER_TOKEN: Final = 3


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


def max_prompt_tokens(messages: Iterable[ChatMessage]) -> int:
    """An upper bound of the tokens that these messages are counted as."""
    return sum(len(message.content.encode()) + _FORMAT_TOKENS_PER_MESSAGE for message in messages)


def likely_prompt_tokens(messages: Iterable[ChatMessage]) -> int:
    """An estimate of the tokens that these messages are counted as: high for nearly all texts, yet no upper bound."""
    return sum(len(message.content.encode()) // _LIKELY_BYTES_PER_TOKEN + 8 for message in messages)


def estimate_usage(messages: Iterable[ChatMessage], answer: str) -> Usage:
    """A guess, for an answer whose tokens the upstream did not count."""
    prompt = sum(len(message.content.encode()) // _BYTES_PER_TOKEN_ESTIMATE + 1 for message in messages)
    completion = len(answer.encode()) // _BYTES_PER_TOKEN_ESTIMATE + 1 if answer else 0
    return Usage(prompt, completion, prompt + completion)
