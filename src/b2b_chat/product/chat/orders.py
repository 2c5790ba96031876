"""What is sent to be answered: how it is named and stored, and what the model is asked."""

import hashlib
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import UNSET

from b2b_chat.kit.visible import from_first_visible
from b2b_chat.product.chat.calls import fingerprint_of
from b2b_chat.product.chat.schemas import ChatSend
from b2b_chat.product.conversations.status import Origin
from b2b_chat.product.masking.call_texts import Call

TITLE_CHARACTERS: Final = 80


class Order(NamedTuple):
    """A message of a conversation, or a call that brings its own context."""

    client_message_id: str
    conversation_id: UUID | None
    """None for a new one."""
    text: str
    """As it is stored."""
    fingerprint: bytes
    """What two sends of one order share: all that is asked, not how the answer is fetched."""
    call: Call | None = None
    """What the model is asked, where that is not the conversation with the text at its end."""
    origin: Origin = "chat"
    """What a conversation that begins with it is."""
    max_completion_tokens: int | None = None
    """The longest answer that the sender of a message wants."""
    ends_unread: bool = False
    """Whether the answer ends as soon as it has no reader: no one could ask for it again."""

    @property
    def title(self) -> str:
        """The title of a conversation that begins with it."""
        return " ".join(from_first_visible(self.text).split())[:TITLE_CHARACTERS]


def order_of_message(company_id: UUID, message: ChatSend) -> Order:
    """Return the order that a message is."""
    asked: tuple[str, ...] = (str(company_id), str(message.conversation_id or ""), message.text)
    longest = None if message.max_completion_tokens is UNSET else message.max_completion_tokens
    if longest is not None:  # else the fingerprint is that of releases before this option
        asked = (*asked, str(longest))
    fingerprint = hashlib.sha256("\0".join(asked).encode()).digest()
    return Order(
        message.client_message_id,
        message.conversation_id,
        message.text,
        fingerprint,
        max_completion_tokens=longest,
    )


def order_of_call(
    company_id: UUID, client_message_id: str, call: Call, *, kept_text: str | None = None, ends_unread: bool = False
) -> Order:
    """Return the order that a call is.

    Args:
        company_id: Whose call it is.
        client_message_id: Its name; the same one never costs twice.
        call: What is asked.
        kept_text: The question's text, where the call is kept as a conversation; else nothing is kept for long.
        ends_unread: As the order has it.
    """
    origin: Origin = "completions" if kept_text is None else "kept"
    fingerprint = fingerprint_of(company_id, call)
    return Order(client_message_id, None, kept_text or "", fingerprint, call, origin, ends_unread=ends_unread)
