"""What the model is asked: a message with its context, its price, and the request that crosses the border."""

from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from b2b_chat.contract.schemas import MODEL_GPT_5_2, ChatMessage, ChatMetadata, Usage, contract_of
from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.calls import OptionsUnsupported, message_tokens, options_tokens, size_bytes
from b2b_chat.product.chat.gateway_client import GatewayClient
from b2b_chat.product.chat.masked_turns import MaskedTurns, Turn, turns_of
from b2b_chat.product.chat.orders import Order
from b2b_chat.product.chat.repository import Bounds, Exchange, RunRepository, Sent
from b2b_chat.product.conversations.service import ConversationNotFound
from b2b_chat.product.credits.pricing import FORMAT_TOKENS_PER_MESSAGE, Prices, prompt_tokens, with_margin
from b2b_chat.product.credits.tokens import count_tokens
from b2b_chat.product.masking.call_texts import Call
from b2b_chat.product.masking.calls import mask_call
from b2b_chat.product.masking.masks import NOT_MASKED, StoredMasks, masked_text, stored
from b2b_chat.product.masking.requests import (
    INSTRUCTION,
    MaskedMessages,
    MaskedRequest,
    masked_messages,
    unmasked_messages,
)
from b2b_chat.product.masking.rules import Rules
from b2b_chat.product.masking.service import Masking
from b2b_chat.product.masking_policies.rulebook import Rulebook
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
    """A message with what goes along with it, as it crosses the border, and how many tokens each text has."""

    border: MaskedMessages
    text_tokens: list[int]
    masks: StoredMasks
    """Of the message itself."""
    max_completion_tokens: int | None = None
    """The longest answer that the client wants."""

    @property
    def question_tokens(self) -> int:
        """The tokens of the message itself."""
        return self.text_tokens[-1]


class Prompts:
    """Makes requests of messages."""

    def __init__(
        self,
        repository: RunRepository,
        prices: Prices,
        settings: ProductSettings,
        rulebook: Rulebook,
        masked_turns: MaskedTurns,
        masking: Masking,
        gateway: GatewayClient,
    ) -> None:
        self._repository = repository
        self._prices = prices
        self._settings = settings
        self._rulebook = rulebook
        self._masked_turns = masked_turns
        self._masking = masking
        self._gateway = gateway

    async def prompt_of(self, viewer: Viewer, order: Order, *, sent_before: Sent | None = None) -> Prompt:
        """Return what the model is asked by an order; the arguments and failures are those of its two kinds."""
        if order.call is not None:
            return await self.prompt_of_call(viewer, order.call)
        conversation_id = order.conversation_id if sent_before is None else sent_before.conversation_id
        prompt = await self.prompt(viewer, conversation_id, order.text, sent_before=sent_before)
        return prompt._replace(max_completion_tokens=order.max_completion_tokens)

    async def prompt(
        self, viewer: Viewer, conversation_id: UUID | None, text: str, *, sent_before: Sent | None = None
    ) -> Prompt:
        """Return what the model is asked: a message, and before it as much of its conversation as may go along.

        Args:
            viewer: Whose conversation it is.
            conversation_id: None for a new one.
            text: The message.
            sent_before: What is known of the message, where it was sent before.

        Raises:
            ConversationNotFound: The conversation is not the viewer's.
            TextTooLong: The message alone is more than a request may hold.
            PersonalDataBlocked: The message has values of a kind that is blocked.
            MaskingUnavailable: The texts cannot be looked through.
        """
        rules = await self._rulebook.rules_of(viewer)
        before, masks = None, NOT_MASKED
        if sent_before is not None:
            before = sent_before.user_message_id
            masks = StoredMasks(sent_before.question_masks, sent_before.question_masked_by)
        context: list[Exchange] = []
        if conversation_id is not None:
            limit = self._settings.chat_context_limit // 2
            found = await self._repository.find_context(
                viewer.company_id, viewer.user_id, conversation_id, before=before, limit=limit
            )
            if found is None:
                raise ConversationNotFound
            context = found
        turns = [*turns_of(context), Turn("user", text, None, masks, before)]
        return await self._unmasked(turns) if rules.is_off else await self._masked(rules, turns)

    async def prompt_of_call(self, viewer: Viewer, call: Call) -> Prompt:
        """Return what the model is asked by a call that brings its own context, options and tools.

        Raises:
            TextTooLong: It is more than a request may hold.
            UnmaskableContent: It has images, and the rules hide what they may show; or JSON that is nested too deeply.
            PersonalDataBlocked: It has values of a kind that is blocked.
            MaskingUnavailable: The texts cannot be looked through.
            OptionsUnsupported: The gateway is too old for it.
            GatewayUnavailable, GatewayTimeout: Whether it is cannot be found out.
        """
        left_bytes = self._settings.chat_request_max_bytes - REQUEST_OVERHEAD_BYTES - len(INSTRUCTION)
        if size_bytes(call) > left_bytes:
            raise TextTooLong("The messages and tools are too long to be sent to the model.", param="messages")
        rules = await self._rulebook.rules_of(viewer)
        border = await mask_call(self._masking, rules, call)
        if not await self._gateway.takes(contract_of(border.messages, border.options)):
            raise OptionsUnsupported
        tokens = [await message_tokens(message) for message in border.messages]
        if beside := await options_tokens(border.options):
            tokens.insert(0, beside)
        return Prompt(border, tokens, NOT_MASKED, call.max_completion_tokens)

    async def _unmasked(self, turns: list[Turn]) -> Prompt:
        text_tokens = [await _tokens(turn, turn.text, None) for turn in turns]
        first = self._first_within_limits([turn.text for turn in turns], text_tokens)
        messages = [ChatMessage(turn.role, turn.text) for turn in turns[first:]]
        return Prompt(unmasked_messages(messages), text_tokens[first:], NOT_MASKED)

    async def _masked(self, rules: Rules, turns: list[Turn]) -> Prompt:
        values, masks = await self._masked_turns.context(rules, turns[:-1])
        masks.append(await self._masked_turns.message(rules, turns[-1], values))
        texts, text_tokens = [], []
        for turn, own in zip(turns, masks, strict=True):
            texts.append(masked_text(turn.text, own))
            text_tokens.append(await _tokens(turn, texts[-1], rules.key))
        first = self._first_within_limits(texts, text_tokens, spare_bytes=len(INSTRUCTION) + _MESSAGE_OVERHEAD_BYTES)
        said = [ChatMessage(turn.role, turn.text) for turn in turns[first:]]
        border = masked_messages(said, masks[first:], rules.key)
        instruction = [await message_tokens(message) for message in border.messages[: -len(said)]]
        return Prompt(border, [*instruction, *text_tokens[first:]], stored(masks[-1], rules.key))

    def bounds(self, prompt: Prompt) -> Bounds:
        """Return how much is held for an answer to a prompt."""
        longest = self._longest(prompt)
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
    ) -> MaskedRequest:
        """Return the request for the longest answer that is likely to cost no more than is held."""
        affordable = self._prices.affordable_completion_tokens(held_credits, prompt_tokens(prompt.text_tokens))
        return prompt.border.request(
            model=MODEL_GPT_5_2,
            stream=stream,
            max_completion_tokens=min(affordable, self._longest(prompt)),
            metadata=ChatMetadata(viewer.company_id, viewer.user_id, log.conversation_id, log.user_message_id),
        )

    def _longest(self, prompt: Prompt) -> int:
        longest = self._settings.chat_max_completion_tokens
        return longest if prompt.max_completion_tokens is None else min(longest, prompt.max_completion_tokens)

    def _first_within_limits(self, texts: list[str], text_tokens: list[int], *, spare_bytes: int = 0) -> int:
        """Return where the messages begin that fit, once the oldest exchanges are left out."""
        left_bytes = self._settings.chat_request_max_bytes - REQUEST_OVERHEAD_BYTES - spare_bytes
        sizes = [len(text.encode()) for text in texts]
        if sum(sizes) * _MAX_ESCAPED_BYTES > left_bytes:  # else there is no need to know more exactly
            sizes = [len(msgspec.json.encode(text)) for text in texts]
        left_bytes -= sizes[-1]
        left_tokens = self._settings.chat_context_max_tokens - text_tokens[-1]
        if left_bytes < 0:
            raise TextTooLong("The text is too long to be sent to the model.")
        first = len(texts) - 1
        while first:
            left_bytes -= sizes[first - 2] + sizes[first - 1] + 2 * _MESSAGE_OVERHEAD_BYTES
            left_tokens -= text_tokens[first - 2] + text_tokens[first - 1] + 2 * FORMAT_TOKENS_PER_MESSAGE
            if left_bytes < 0 or left_tokens < 0:
                break
            first -= 2
        return first


async def _tokens(turn: Turn, crossing: str, key: str | None) -> int:
    """Return how many tokens a text has as it crosses the border; what is stored was counted under the rules then."""
    if turn.tokens is not None and turn.stored.by == key:
        return turn.tokens
    return await count_tokens(crossing)


def _usage(prompt: int, completion: int) -> Usage:
    return Usage(prompt, completion, prompt + completion)
