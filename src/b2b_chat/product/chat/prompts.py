"""What the model is asked: a message with its context, its price, and the request that crosses the border."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final
from uuid import UUID

import msgspec

from b2b_chat.contract.schemas import MODEL_GPT_5_2, ChatMessage, ChatMetadata, ChatRequest, Usage
from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.repository import Bounds, Exchange, RunRepository
from b2b_chat.product.conversations.service import ConversationNotFound
from b2b_chat.product.credits.pricing import Prices, likely_prompt_tokens, max_prompt_tokens
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.viewer import Viewer

_MAX_ESCAPED_BYTES: Final = 6
"""A byte of a text as JSON: a control character becomes an escape of six."""
REQUEST_OVERHEAD_BYTES: Final = 1024
"""More than what a request has beside its messages."""
_MESSAGE_OVERHEAD_BYTES: Final = 64
"""More than what a message has beside its text."""
_BYTES_PER_TOKEN: Final = 4
"""Fewer than a token has on average in any language with an alphabet."""


class TextTooLong(Refusal):
    """More characters than a message may have."""

    code, status = "text_too_long", 422
    param = "text"
    message = "The text is too long."


class Prompts:
    """Makes requests of messages."""

    def __init__(self, repository: RunRepository, prices: Prices, settings: ProductSettings) -> None:
        self._repository = repository
        self._prices = prices
        self._settings = settings

    async def messages(
        self, viewer: Viewer, conversation_id: UUID | None, text: str, *, before: UUID | None = None
    ) -> list[ChatMessage]:
        """Return what the model is asked: a message, and before it as much of its conversation as may go along.

        Args:
            viewer: Whose conversation it is.
            conversation_id: None for a new one.
            text: The message.
            before: The message's id, where it was sent before.

        Raises:
            ConversationNotFound: The conversation is not the viewer's.
            TextTooLong: The message alone is more than a request may hold.
        """
        context: Iterable[Exchange] = ()
        if conversation_id is not None:
            limit = self._settings.chat_context_limit // 2
            found = await self._repository.find_context(
                viewer.company_id, viewer.user_id, conversation_id, before=before, limit=limit
            )
            if found is None:
                raise ConversationNotFound
            context = found
        return self._within_limits([*_turns(context), ChatMessage("user", text)])

    def bounds(self, messages: list[ChatMessage]) -> Bounds:
        """Return how much is held for an answer to these messages."""
        longest = self._settings.chat_max_completion_tokens
        shortest = min(self._settings.chat_min_completion_tokens, longest)
        return Bounds(
            max_credits=self._prices.cost(_usage(max_prompt_tokens(messages), longest)),
            min_credits=self._prices.cost(_usage(likely_prompt_tokens(messages), shortest)),
        )

    def request(
        self, viewer: Viewer, log: AnswerLog, messages: list[ChatMessage], held_credits: Decimal, *, stream: bool
    ) -> ChatRequest:
        """Return the request for the longest answer that is likely to cost no more than is held."""
        affordable = self._prices.affordable_completion_tokens(held_credits, likely_prompt_tokens(messages))
        return ChatRequest(
            model=MODEL_GPT_5_2,
            messages=messages,
            stream=stream,
            max_completion_tokens=min(affordable, self._settings.chat_max_completion_tokens),
            metadata=ChatMetadata(viewer.company_id, viewer.user_id, log.conversation_id, log.user_message_id),
        )

    def _within_limits(self, messages: list[ChatMessage]) -> list[ChatMessage]:
        """Leave out the oldest exchanges, until the rest fits."""
        left_bytes = self._settings.chat_request_max_bytes - REQUEST_OVERHEAD_BYTES
        sizes = [len(message.content.encode()) for message in messages]
        if sum(sizes) * _MAX_ESCAPED_BYTES > left_bytes:  # else there is no need to know more exactly
            sizes = [len(msgspec.json.encode(message.content)) for message in messages]
        left_bytes -= sizes[-1]
        left_tokens = self._settings.chat_context_max_tokens - sizes[-1] // _BYTES_PER_TOKEN
        if left_bytes < 0:
            raise TextTooLong("The text is too long to be sent to the model.")
        first = len(messages) - 1
        while first:
            exchange_bytes = sizes[first - 2] + sizes[first - 1]
            left_bytes -= exchange_bytes + 2 * _MESSAGE_OVERHEAD_BYTES
            left_tokens -= exchange_bytes // _BYTES_PER_TOKEN
            if left_bytes < 0 or left_tokens < 0:
                break
            first -= 2
        return messages[first:]


def _turns(exchanges: Iterable[Exchange]) -> Iterator[ChatMessage]:
    for question, answer in exchanges:
        yield ChatMessage("user", question)
        yield ChatMessage("assistant", answer)


def _usage(prompt: int, completion: int) -> Usage:
    return Usage(prompt, completion, prompt + completion)
