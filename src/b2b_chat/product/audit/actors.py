"""The actors of audited actions."""

import getpass
import socket
from typing import Final, Literal
from uuid import UUID

from msgspec import Struct

from b2b_chat.product.viewer import Viewer

ActorKind = Literal["user", "api_key", "operator", "command_line", "stranger"]

_ID_CHARACTERS: Final = 200


class Actor(Struct, frozen=True):
    """The actor: a person signed in, a key, an operator, a shell on the server, or a stranger at the door."""

    kind: ActorKind
    id: str
    """The id of the user or of the key that was used; `user@host` of a shell; `unknown` of a stranger."""
    user_id: UUID | None = None
    """The person behind it, where one is known."""
    company_id: UUID | None = None
    """The company that the actor acts in; None for operators and shells."""


def actor_of(viewer: Viewer) -> Actor:
    """A caller who acts in a company, in a session or by a key."""
    if viewer.api_key_id is not None:
        return Actor("api_key", str(viewer.api_key_id), viewer.user_id, viewer.acting_in)
    return Actor("user", str(viewer.user_id), viewer.user_id, viewer.acting_in)


def operator_of(viewer: Viewer) -> Actor:
    """A caller who acts as an operator, in a session or by a key."""
    return Actor("operator", str(viewer.api_key_id or viewer.user_id), viewer.user_id)


def person_of(user_id: UUID, company_id: UUID | None) -> Actor:
    """A person who signs in or out, acting in a company or in none."""
    return Actor("user", str(user_id), user_id, company_id)


STRANGER: Final = Actor("stranger", "unknown")
"""A person whose sign-in fails."""


def command_line_actor() -> Actor:
    """The user who runs this process on this machine."""
    return Actor("command_line", f"{getpass.getuser()}@{socket.gethostname()}"[:_ID_CHARACTERS])
