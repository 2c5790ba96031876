"""Calls with options, parts and tools: what makes two the same, how many tokens they have, and who can take them."""

import hashlib
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET

from b2b_chat.contract.options import ChatOptions
from b2b_chat.contract.schemas import ChatMessage
from b2b_chat.product.credits.pricing import FORMAT_TOKENS_PER_MESSAGE, image_tokens
from b2b_chat.product.credits.tokens import count_tokens
from b2b_chat.product.masking.call_texts import Call
from b2b_chat.product.refusals import Refusal

_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_TOKENS_PER_CALL: Final = 8
"""What marks the bounds of a call of a tool, and its id."""


class OptionsUnsupported(Refusal):
    """The gateway is of an earlier release and does not take what is asked; plain chats work."""

    code, status, retryable = "gateway_outdated", 503, True
    message = "The gateway is of an earlier release and takes plain text only. Nothing was sent or charged."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "60"})


def fingerprint_of(company_id: UUID, call: Call) -> bytes:
    """Return what two sends of one call share: all that is asked, not how the answer is fetched."""
    asked = (company_id, call.messages, call.options, call.max_completion_tokens)
    return hashlib.sha256(_encode(asked)).digest()


async def message_tokens(message: ChatMessage) -> int:
    """Return how many tokens a message has."""
    if isinstance(message.content, str) and message.tool_calls is UNSET:
        return await count_tokens(message.content)
    tokens = sum([await count_tokens(text) for text in message.texts])
    tokens += sum(image_tokens(image) for image in message.images)
    for call in message.calls:
        tokens += await count_tokens(call.function.name) + await count_tokens(call.function.arguments)
        tokens += _TOKENS_PER_CALL
    return tokens


async def options_tokens(options: ChatOptions) -> int:
    """Return how many tokens definitions of tools and of a schema have; OpenAI writes them shorter than JSON is."""
    return sum([await count_tokens(_encode(each).decode()) + FORMAT_TOKENS_PER_MESSAGE for each in options.definitions])


def size_bytes(call: Call) -> int:
    """Return how many bytes a call has as JSON."""
    return len(_encode((call.messages, call.options)))
