"""The wire form of the audit log."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import ActorKind


class AuditActor(Struct, frozen=True):
    """Who acted."""

    kind: ActorKind
    id: str
    """The id of the user or of the key that was used; `user@host` of a shell on the server; `unknown` of a stranger."""
    user_id: UUID | None
    """The person behind it, where one is known."""


class AuditRecord(Struct, frozen=True):
    """One action."""

    id: UUID
    at: datetime
    company_id: UUID | None
    """The company it concerns."""
    actor: AuditActor
    action: Action
    outcome: Literal["ok", "refused"]
    reason: str | None
    """The code of the refusal."""
    request_id: str | None
    client_request_id: str | None
    """The `X-Request-ID` that the client sent."""
    count: int
    """How often, where one record stands for what was done again within a minute."""
    targets: dict[str, str]
    """To what it was done, as `{"user_id": …}`."""
    before: dict[str, Any] | None
    """The target's relevant state before the action, where it changed."""
    after: dict[str, Any] | None


class AuditFilter(Struct, frozen=True):
    """Which rows are wanted; a None matches all."""

    company_id: UUID | None = None
    actor: str | None = None
    """The id of a user, API key or operator, or `user@host`."""
    user_id: UUID | None = None
    """The person behind the actor: finds what was done in sessions and with keys."""
    action: Action | None = None
    target: str | None = None
    """The id of anything among the targets."""
    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""
