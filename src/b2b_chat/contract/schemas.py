"""The bodies that cross the border, and the one model that is asked for."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal, TypeAlias
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from b2b_chat.contract.content import MAX_TOOL_CALLS, Content, ImagePart, ToolCall, ToolCallId
from b2b_chat.contract.options import ChatOptions, options_of

MODEL_GPT_5_2: Final = "gpt-5.2"
"""The only model of this installation; both sides name it by this constant."""

CONTRACT_VERSION: Final = 3
"""The form of these bodies. 1 had no `finish_reason`, 2 no options, parts and tools; a gateway that reports no version
has form 1.
"""

MODEL_CONTEXT_TOKENS: Final = 400_000
"""What the model reads and writes at once.

Source: https://platform.openai.com/docs/models/gpt-5.2
"""

CHAT_PATH: Final = "/v1/chat"
PING_PATH: Final = "/internal/ping"


class ChatMessage(Struct, frozen=True, forbid_unknown_fields=True):
    """One turn of a conversation, as OpenAI understands it. OpenAI's `name` is missing: it would name people."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content
    tool_calls: Annotated[list[ToolCall], Meta(min_length=1, max_length=MAX_TOOL_CALLS)] | UnsetType = UNSET
    tool_call_id: ToolCallId | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Check what goes with which role.

        Raises:
            ValueError: A field is missing, or belongs to another role; decoders report it as invalid.
        """
        if self.content.__class__ is str and self.tool_calls is UNSET and self.tool_call_id is UNSET:
            if self.role == "tool":
                raise ValueError("A message of the role `tool` needs `tool_call_id`")
            return
        if (self.role == "tool") != (self.tool_call_id is not UNSET):
            raise ValueError("`tool_call_id` belongs to messages of the role `tool`, and to these alone")
        if self.tool_calls is not UNSET and self.role != "assistant":
            raise ValueError("`tool_calls` belong to messages of the role `assistant`")
        if self.content is None and self.tool_calls is UNSET:
            raise ValueError("`content` may be null only beside `tool_calls`")
        if self.role != "user" and self.images:
            raise ValueError("Images belong to messages of the role `user`")

    @property
    def calls(self) -> Sequence[ToolCall]:
        """The calls of tools, if there are any."""
        return () if self.tool_calls is UNSET else self.tool_calls

    @property
    def texts(self) -> list[str]:
        """The texts of the content, in order."""
        if isinstance(self.content, str):
            return [self.content]
        return [part.text for part in self.content or () if not isinstance(part, ImagePart)]

    @property
    def text(self) -> str:
        """The whole text of the content."""
        return "".join(self.texts)

    @property
    def images(self) -> list[ImagePart]:
        """The images of the content, in order."""
        if self.content is None or isinstance(self.content, str):
            return []
        return [part for part in self.content if isinstance(part, ImagePart)]


class ChatMetadata(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom a call is for: ids only; no email, name or IP crosses the border."""

    company_id: UUID
    user_id: UUID
    conversation_id: UUID
    message_id: UUID


class ChatRequest(ChatOptions, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
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


PLAIN_CONTRACT: Final = 2
"""The oldest form that any gateway takes, and the one of chats without options, parts and tools."""
_PLAIN_ROLES: Final = frozenset(("system", "user", "assistant"))


def contract_of(messages: Iterable[ChatMessage], options: ChatOptions) -> int:
    """Return the oldest form of these bodies that can carry these messages and options."""
    is_plain = not options_of(options) and all(
        isinstance(message.content, str) and message.tool_calls is UNSET and message.role in _PLAIN_ROLES
        for message in messages
    )
    return PLAIN_CONTRACT if is_plain else CONTRACT_VERSION


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
    """The data of `event: delta`. `refusal` is true where the text is the model's refusal."""

    text: str
    refusal: bool | UnsetType = UNSET


class ChatResult(Struct, frozen=True):
    """The JSON answer of the gateway, and the data of `event: final`.

    `usage` is None when the upstream finished without counting, which is not the same as counting zero. `upstream`
    names the upstream that answered: `primary` or `fallback`. An answer that was stored without a `finish_reason`, by
    an earlier release, counts as `stop`. `tool_calls` are the tools that the model calls, beside or instead of a text;
    `refusal` is true where the text is the model's refusal.
    """

    text: str
    usage: Usage | None
    finish_reason: FinishReason = "stop"
    upstream: str = "primary"
    tool_calls: list[ToolCall] | UnsetType = UNSET
    refusal: bool | UnsetType = UNSET

    @property
    def calls(self) -> Sequence[ToolCall]:
        """The calls of tools, if there are any."""
        return () if self.tool_calls is UNSET else self.tool_calls


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
