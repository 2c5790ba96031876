"""What the model is asked: a message with its context, its price, and the request that crosses the border."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final, Literal, NamedTuple
from uuid import UUID

import msgspec

from b2b_chat.contract.schemas import MODEL_GPT_5_2, ChatMessage, ChatMetadata, ChatRequest, Usage
from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.repository import Bounds, Exchange, RunRepository
from b2b_chat.product.conversations.service import ConversationNotFound
from b2b_chat.product.credits.pricing import FORMAT_TOKENS_PER_MESSAGE, Prices, prompt_tokens, with_margin
from b2b_chat.product.credits.tokens import count_tokens
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.viewer import Viewer

_MAX_ESCAPED_BYTES: Final = 6
"""A byte of a text as JSON: a control character becomes an escape of six."""
REQUEST_OVERHEAD_BYTES: Final = 1024
"""More than what a request has beside its messages."""
_MESSAGE_OVERHEAD_BYTES: Final = 64
"""More than what a message has beside its text."""


class TextTooLong(Refusal):
    """More characters than a message may have."""

    code, status = "text_too_long", 422
    param = "text"
    message = "The text is too long."


class Prompt(NamedTuple):
    """A message with what goes along with it, and how many tokens each has."""

    messages: list[ChatMessage]
    text_tokens: list[int]

    @property
    def question_tokens(self) -> int:
        """The tokens of the message itself."""
        return self.text_tokens[-1]


class Prompts:
    """Makes requests of messages."""

    def __init__(self, repository: RunRepository, prices: Prices, settings: ProductSettings) -> None:
        self._repository = repository
        self._prices = prices
        self._settings = settings

    async def prompt(
        self, viewer: Viewer, conversation_id: UUID | None, text: str, *, before: UUID | None = None
    ) -> Prompt:
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
        messages, text_tokens = [], []
        for role, content, tokens in _turns(context):
            messages.append(ChatMessage(role, content))
            text_tokens.append(await count_tokens(content) if tokens is None else tokens)
        messages.append(ChatMessage("user", text))
        text_tokens.append(await count_tokens(text))
        first = self._first_within_limits(messages, text_tokens)
        return Prompt(messages[first:], text_tokens[first:])

    def bounds(self, prompt: Prompt) -> Bounds:
        """Return how much is held for an answer to a prompt."""
        longest = self._settings.chat_max_completion_tokens
        shortest = min(self._settings.chat_min_completion_tokens, longest)
        likely = prompt_tokens(prompt.text_tokens)
        most = with_margin(likely)
        return Bounds(
            max_credits=self._prices.cost(_usage(most, longest)),
            min_credits=self._prices.cost(_usage(likely, shortest)),
            prompt_credits=self._prices.cost(_usage(most, 0)),
        )

    def request(
        self, viewer: Viewer, log: AnswerLog, prompt: Prompt, held_credits: Decimal, *, stream: bool
    ) -> ChatRequest:
        """Return the request for the longest answer that is likely to cost no more than is held."""
        affordable = self._prices.affordable_completion_tokens(held_credits, prompt_tokens(prompt.text_tokens))
        return ChatRequest(
            model=MODEL_GPT_5_2,
            messages=prompt.messages,
            stream=stream,
            max_completion_tokens=min(affordable, self._settings.chat_max_completion_tokens),
            metadata=ChatMetadata(viewer.company_id, viewer.user_id, log.conversation_id, log.user_message_id),
        )

    def _first_within_limits(self, messages: list[ChatMessage], text_tokens: list[int]) -> int:
        """Return where the messages begin that fit, once the oldest exchanges are left out."""
        left_bytes = self._settings.chat_request_max_bytes - REQUEST_OVERHEAD_BYTES
        sizes = [len(message.content.encode()) for message in messages]
        if sum(sizes) * _MAX_ESCAPED_BYTES > left_bytes:  # else there is no need to know more exactly
            sizes = [len(msgspec.json.encode(message.content)) for message in messages]
        left_bytes -= sizes[-1]
        left_tokens = self._settings.chat_context_max_tokens - text_tokens[-1]
        if left_bytes < 0:
            raise TextTooLong("The text is too long to be sent to the model.")
        first = len(messages) - 1
        while first:
            left_bytes -= sizes[first - 2] + sizes[first - 1] + 2 * _MESSAGE_OVERHEAD_BYTES
            left_tokens -= text_tokens[first - 2] + text_tokens[first - 1] + 2 * FORMAT_TOKENS_PER_MESSAGE
            if left_bytes < 0 or left_tokens < 0:
                break
            first -= 2
        return first


def _turns(exchanges: Iterable[Exchange]) -> Iterator[tuple[Literal["user", "assistant"], str, int | None]]:
    """Return each message with how many tokens it has, where it was stored with that."""
    for exchange in exchanges:
        yield "user", exchange.question, exchange.question_tokens
        yield "assistant", exchange.answer, exchange.answer_tokens


def _usage(prompt: int, completion: int) -> Usage:
    return Usage(prompt, completion, prompt + completion)
