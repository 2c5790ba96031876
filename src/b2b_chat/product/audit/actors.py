"""Who stands behind an audited action."""

import getpass
import socket
from typing import Final, Literal
from uuid import UUID

from msgspec import Struct

ActorKind = Literal["user", "api_key", "operator", "command_line"]

_ID_CHARACTERS: Final = 200


class Actor(Struct, frozen=True):
    """The one who acts: a person signed in, a key, an operator of this installation, or a shell on its server."""

    kind: ActorKind
    id: str
    """The id of the user, API key or operator; `user@host` of a shell."""
    user_id: UUID | None = None
    """The person behind it, where one is known."""
    company_id: UUID | None = None
    """The company that the actor acts in; None for operators and shells."""


def command_line_actor() -> Actor:
    """Whoever runs this process on this machine."""
    return Actor("command_line", f"{getpass.getuser()}@{socket.gethostname()}"[:_ID_CHARACTERS])
