"""What the API of conversations takes and answers."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from b2b_chat.contract.schemas import FinishReason
from b2b_chat.kit.visible import VISIBLE_LINE, require_visible
from b2b_chat.product.conversations.status import CutBy, Status


class AnswerUsage(Struct, frozen=True):
    """Tokens that the answer took; `estimated` where the model did not count them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    estimated: bool = False
    cached_tokens: int | UnsetType = UNSET
    """Those of the prompt that the model had in its cache, where it reports them."""
    reasoning_tokens: int | UnsetType = UNSET
    """Those of the completion that went into hidden reasoning, where it reports them."""


class Conversation(Struct, frozen=True):
    """A thread of messages; its title is the beginning of the first one."""

    id: UUID
    title: str
    created_at: datetime
    updated_at: datetime
    """When something was last said in it."""


class ConversationRename(Struct, frozen=True, forbid_unknown_fields=True):
    """Another title for a conversation."""

    title: Annotated[str, Meta(min_length=1, max_length=80, pattern=VISIBLE_LINE)]

    def __post_init__(self) -> None:
        require_visible("title", self.title)


class HiddenValue(Struct, frozen=True):
    """A value of a text that was replaced by a token when the text crossed the border."""

    text: str
    kind: str
    """What it is, such as `PERSON`: the kinds of `GET /v1/company/masking`."""


class Message(Struct, frozen=True):
    """One message of a conversation."""

    id: UUID
    role: Literal["user", "assistant"]
    status: Status
    text: str
    client_message_id: str | None
    """The sender's own name for a user's message: with it a failed one is sent again."""
    usage: AnswerUsage | None
    charge_credits: Decimal | None
    """What an answer cost."""
    finish_reason: FinishReason | None
    """Why the model ended an answer: `length` means that it was cut at a limit."""
    cut_by: CutBy | None
    """For `length`: whose limit it was, the model's, CHAT_MAX_COMPLETION_TOKENS (`limit`), or the balance's."""
    error_code: str | None
    """Why there is no answer, for an assistant's message in `error`."""
    created_at: datetime
    hidden: list[HiddenValue] | UnsetType = UNSET
    """The values of the text that did not cross the border, each once; left out where there are none."""
