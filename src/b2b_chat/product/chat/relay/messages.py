"""What processes say to each other about runs.

Positions are counts of characters, as in the ids of events; a follow is known by the follower's inbox and number.
"""

from typing import Final, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Struct

from b2b_chat.product.chat.schemas import ChatAnswer


class Follow(Struct, frozen=True, array_like=True, tag="follow"):
    """To all: asks the process that writes this attempt for the text after a position in it.

    Asking again moves the position. With `stop`, end the answer, as at its user's wish.
    """

    assistant_message_id: UUID
    attempt: int
    inbox: str
    follow: int
    position: int
    stop: bool


class Taken(Struct, frozen=True, array_like=True, tag="taken"):
    """To a follower: the attempt is written here, and its text follows."""

    follow: int
    inbox: str


class Piece(Struct, frozen=True, array_like=True, tag="piece"):
    """To a follower: text, and the position where it begins."""

    follow: int
    position: int
    text: str


class Ended(Struct, frozen=True, array_like=True, tag="ended"):
    """To a follower: the end, at a position, with the answer, whose text it has, or the code of what it failed of."""

    follow: int
    position: int
    outcome: ChatAnswer | str
    next_attempt: int | None = None
    """The attempt that was begun in place of this one, which broke off. Earlier releases do not read it."""


class Alive(Struct, frozen=True, array_like=True, tag="alive"):
    """To a follower, now and then: these follows of yours are served here."""

    inbox: str
    follows: list[int]


class Heard(Struct, frozen=True, array_like=True, tag="heard"):
    """To a run's process, now and then: these follows go on, and have come so far."""

    inbox: str
    positions: dict[int, int]


class Left(Struct, frozen=True, array_like=True, tag="left"):
    """To a run's process: it has no readers here any more."""

    inbox: str
    follow: int


Message: TypeAlias = Follow | Taken | Piece | Ended | Alive | Heard | Left

encode: Final = msgspec.msgpack.Encoder().encode
"""A message as bytes."""

decode: Final = msgspec.msgpack.Decoder(Message).decode
"""Decodes a message. Raises `msgspec.DecodeError` for bytes that are not one."""
