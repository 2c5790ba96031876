"""What the chat API takes and answers. Amounts are decimal strings, so that no client reads them as floats."""

from decimal import Decimal
from typing import Annotated, Final
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from b2b_chat.contract.content import FUNCTION_NAME, TOOL_CALL_ID, ToolCall
from b2b_chat.contract.schemas import FinishReason
from b2b_chat.kit.text import PRINTABLE_ASCII, form
from b2b_chat.kit.visible import VISIBLE
from b2b_chat.product.conversations.schemas import AnswerUsage
from b2b_chat.product.conversations.status import CutBy, Status

form(FUNCTION_NAME, "letters, digits, _ and -")
form(TOOL_CALL_ID, "a text without control characters")
_TEXT: Final = form(rf"^[^\u0000]*{VISIBLE}[^\u0000]*$", "a text with a visible character and without NUL")


class ChatSend(Struct, frozen=True, forbid_unknown_fields=True):
    """A message to the assistant.

    `client_message_id` is the sender's own name for this message; sending the same one again never costs twice. Each
    API key has names of its own; all sessions of a person share theirs.
    Without `conversation_id` a new conversation begins. `stream` decides between server-sent events and JSON; without
    it the header `Accept: text/event-stream` asks for events. `restart` says that the reader of the events understands
    `event: restart`: it drops the text that it has, and the answer that broke off comes anew.
    """

    client_message_id: Annotated[str, Meta(min_length=1, max_length=128, pattern=PRINTABLE_ASCII)]
    """Your own name for this message, best a new UUID. The same one again gives the same answer, charged once."""
    text: Annotated[
        str,
        # For the document only: each of these is refused by a code of its own, which a constraint would hide.
        Meta(
            description="At most MAX_MESSAGE_CHARS characters; at least one that can be seen; no NUL.",
            extra_json_schema={"extra": {"pattern": _TEXT}},
        ),
    ]
    conversation_id: UUID | None = None
    """The conversation that it belongs to; without one a new conversation begins."""
    stream: bool | UnsetType = UNSET
    """Whether the answer comes as server-sent events; without it the header `Accept` decides."""
    restart: bool = False
    """Whether you understand `event: restart`."""
    max_completion_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | UnsetType = UNSET
    """The longest answer that you want, hidden reasoning included; at most CHAT_MAX_COMPLETION_TOKENS."""


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
    finish_reason: FinishReason | None = None
    """Why the model ended the answer: `length` means that it was cut at a limit. Null for a stopped answer."""
    cut_by: CutBy | None = None
    """For `length`: whose limit it was, the model's, CHAT_MAX_COMPLETION_TOKENS (`limit`), or the balance's."""
    tool_calls: list[ToolCall] | UnsetType = UNSET
    """The tools that the model calls, where tools were offered."""
    refusal: bool | UnsetType = UNSET
    """True where the text is the model's refusal."""


class AnswerState(Struct, frozen=True):
    """An answer as it is now. Ask again while its status is `pending` or `streaming`."""

    conversation_id: UUID
    user_message_id: UUID
    assistant_message_id: UUID
    status: Status
    text: str
    """What there is of it; while another process writes it, nothing."""
    usage: AnswerUsage | None
    """The tokens that it took; null until it has ended."""
    charge_credits: Decimal | None
    """What it cost; null until it has ended, and for one that failed."""
    finish_reason: FinishReason | None
    """Why the model ended the answer: `length` means that it was cut at a limit. Null for a stopped answer."""
    cut_by: CutBy | None
    """For `length`: whose limit it was, the model's, the one that was asked for or set (`limit`), or the balance's."""
    error_code: str | None
    """Why there is no answer, for the status `error`."""
    retryable: bool | None
    """For the status `error`: whether sending the same message again may help."""
    tool_calls: list[ToolCall] | UnsetType = UNSET
    """The tools that the model calls, where tools were offered."""
    refusal: bool | UnsetType = UNSET
    """True where the text is the model's refusal."""


class ChatStart(Struct, frozen=True):
    """The data of `event: start`."""

    conversation_id: UUID
    user_message_id: UUID
    assistant_message_id: UUID


class ChatRestart(Struct, frozen=True):
    """The data of `event: restart`: the answer begins anew, and the text before is void."""

    attempt: int
    """Which attempt this is, counted from one."""


class ChatFinal(Struct, frozen=True):
    """The data of `event: final`."""

    status: Status
    text: str
    usage: AnswerUsage
    charge_credits: Decimal
    balance_credits: Decimal
    finish_reason: FinishReason | None = None
    """Why the model ended the answer: `length` means that it was cut at a limit. Null for a stopped answer."""
    cut_by: CutBy | None = None
    """For `length`: whose limit it was, the model's, CHAT_MAX_COMPLETION_TOKENS (`limit`), or the balance's."""
    tool_calls: list[ToolCall] | UnsetType = UNSET
    """The tools that the model calls, where tools were offered."""
    refusal: bool | UnsetType = UNSET
    """True where the text is the model's refusal."""
