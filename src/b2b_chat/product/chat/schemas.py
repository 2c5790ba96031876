"""What the chat API takes and answers. Amounts are decimal strings, so that no client reads them as floats."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from b2b_chat.kit.visible import require_visible

Status = Literal["pending", "streaming", "completed", "stopped", "error"]


class ChatSend(Struct, frozen=True, forbid_unknown_fields=True):
    """A message to the assistant.

    `client_message_id` is the sender's own name for this message; sending the same one again never costs twice.
    Without `conversation_id` a new conversation begins. `stream` asks for server-sent events, as does the header
    `Accept: text/event-stream`.
    """

    client_message_id: Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[!-~]+\Z")]
    text: Annotated[
        str,
        # For the document only: each of these is refused by a code of its own, which a constraint would hide.
        Meta(
            description="At most MAX_MESSAGE_CHARS characters; not only white space; no NUL.",
            extra_json_schema={"extra": {"pattern": r"^[^\u0000]*[^\u0000\s][^\u0000]*$"}},
        ),
    ]
    conversation_id: UUID | None = None
    stream: bool = False


class AnswerUsage(Struct, frozen=True):
    """Tokens that the answer took; `estimated` where the model did not count them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    estimated: bool = False


class ChatAnswer(Struct, frozen=True):
    """The answer to a message, with what it took and cost."""

    conversation_id: UUID
    user_message_id: UUID
    assistant_message_id: UUID
    status: Status
    text: str
    usage: AnswerUsage
    charge_credits: Decimal
    balance_credits: Decimal


class ChatStart(Struct, frozen=True):
    """The data of `event: start`."""

    conversation_id: UUID
    user_message_id: UUID
    assistant_message_id: UUID


class ChatFinal(Struct, frozen=True):
    """The data of `event: final`."""

    status: Status
    text: str
    usage: AnswerUsage
    charge_credits: Decimal
    balance_credits: Decimal


class Conversation(Struct, frozen=True):
    """A thread of messages; its title is the beginning of the first one."""

    id: UUID
    title: str
    created_at: datetime


class ConversationRename(Struct, frozen=True, forbid_unknown_fields=True):
    """Another title for a conversation."""

    title: Annotated[
        str, Meta(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*\Z")
    ]

    def __post_init__(self) -> None:
        require_visible("title", self.title)


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
    error_code: str | None
    """Why there is no answer, for an assistant's message in `error`."""
    created_at: datetime
