"""The bodies that cross the border, and the one model that is asked for."""

from typing import Annotated, Final, Literal, TypeAlias
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

MODEL_GPT_5_2: Final = "gpt-5.2"
"""The only model of this installation; both sides name it by this constant."""

CONTRACT_VERSION: Final = 2
"""The form of these bodies. 1 had no `finish_reason`; a gateway that reports no version has form 1."""

MODEL_CONTEXT_TOKENS: Final = 400_000
"""What the model reads and writes at once.

Source: https://platform.openai.com/docs/models/gpt-5.2
"""

CHAT_PATH: Final = "/v1/chat"
PING_PATH: Final = "/internal/ping"


class ChatMessage(Struct, frozen=True, forbid_unknown_fields=True):
    """One turn of a conversation, as OpenAI understands it."""

    role: Literal["system", "user", "assistant"]
    content: str


class ChatMetadata(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom a call is for: ids only; no email, name or IP crosses the border."""

    company_id: UUID
    user_id: UUID
    conversation_id: UUID
    message_id: UUID


class ChatRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/chat` on the gateway.

    `messages` holds the last completed messages and, at its end, the new one. `avoid_upstream` names the upstream that
    broke off an earlier answer to the same message, so that another is asked first.
    """

    model: Literal["gpt-5.2"]
    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=1024)]
    stream: bool
    max_completion_tokens: Annotated[int, Meta(ge=1, le=1_000_000)]
    metadata: ChatMetadata
    avoid_upstream: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET


FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]
"""How a good answer ended: by itself, at a limit, with calls of tools, or stopped by the filter after some text."""


class Usage(Struct, frozen=True, omit_defaults=True):
    """Tokens as counted by the upstream."""

    prompt_tokens: Annotated[int, Meta(ge=0)]
    completion_tokens: Annotated[int, Meta(ge=0)]
    total_tokens: Annotated[int, Meta(ge=0)]
    cached_tokens: Annotated[int, Meta(ge=0)] | None = None
    """Those of the prompt that the upstream had in its cache, where it reports them."""
    reasoning_tokens: Annotated[int, Meta(ge=0)] | None = None
    """Those of the completion that went into hidden reasoning, where it reports them."""


class ChatDelta(Struct, frozen=True):
    """The data of `event: delta`."""

    text: str


class ChatResult(Struct, frozen=True):
    """The JSON answer of the gateway, and the data of `event: final`.

    `usage` is None when the upstream finished without counting, which is not the same as counting zero. `upstream`
    names the upstream that answered: `primary` or `fallback`. An answer that was stored without a `finish_reason`, by
    an earlier release, counts as `stop`.
    """

    text: str
    usage: Usage | None
    finish_reason: FinishReason = "stop"
    upstream: str = "primary"


class Ping(Struct, frozen=True):
    """The answer of `GET /internal/ping`."""

    version: str
    model: str
    server_time: int
    """Unix seconds by the gateway's clock."""
    contract: int = 1
    """The `CONTRACT_VERSION` of the gateway."""
    max_body_bytes: int | None = None
    """The largest body that the gateway accepts; an earlier release does not tell."""
