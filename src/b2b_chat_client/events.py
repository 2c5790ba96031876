"""What the reader of a stream gets."""

from typing import TypeAlias
from uuid import UUID

from msgspec import Struct

from b2b_chat_client.types import ChatAnswer


class Start(Struct, frozen=True):
    """The message was accepted: the ids of everything that it made."""

    conversation_id: UUID
    user_message_id: UUID
    assistant_message_id: UUID


class Delta(Struct, frozen=True):
    """The next piece of the text."""

    text: str


class Restart(Struct, frozen=True):
    """The answer broke off and is written anew: the text before is void."""

    attempt: int


class Final(Struct, frozen=True):
    """The whole answer, with what it took and cost. It is the last event."""

    answer: ChatAnswer


StreamEvent: TypeAlias = Start | Delta | Restart | Final
