"""The words that several domains share: roles, scopes and languages."""

from enum import StrEnum
from typing import Final, Literal

Language = Literal["ru", "en"]


class Role(StrEnum):
    """What a member may do in a company, weakest first."""

    MEMBER = "member"
    ADMIN = "admin"
    OWNER = "owner"


class Scope(StrEnum):
    """What an API key may be used for."""

    CHAT = "chat"
    READ = "read"
    ADMIN = "admin"


SCOPES_OF_ROLES: Final = {
    Role.MEMBER: frozenset({Scope.CHAT, Scope.READ}),
    Role.ADMIN: frozenset(Scope),
    Role.OWNER: frozenset(Scope),
}
"""The scopes of a role: those of a session, and the most that a member's key may have."""
