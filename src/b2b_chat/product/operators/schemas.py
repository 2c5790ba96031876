"""Bodies of the operators' API."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from b2b_chat.product.vocabulary import Role


class UserMembership(Struct, frozen=True):
    """A company that a user belongs to."""

    company_id: UUID
    company_name: str
    role: Role
    blocked_at: datetime | None
    """Since when the company's admins do not let the user act in it."""


class User(Struct, frozen=True):
    """A person known to this installation."""

    id: UUID
    email: str
    created_at: datetime
    blocked_at: datetime | None
    is_operator: bool
    memberships: list[UserMembership]


class NewOperator(Struct, frozen=True):
    """An operator, with a key that was just made."""

    user_id: UUID
    key: str
    """It is shown this once and cannot be seen again."""


class PartHealth(Struct, frozen=True):
    """One of the things that product_api needs."""

    name: str
    problem: str | None
    """What is missing of it, by its closest name; None where it is ready."""


class ProductHealth(Struct, frozen=True):
    """product_api, as the process sees itself that answers."""

    version: str
    is_ready: bool
    parts: list[PartHealth]


class GatewayHealth(Struct, frozen=True):
    """gateway_api, according to its answer to a signed ping."""

    status: Literal["ready", "refused", "unreachable"]
    code: str | None
    """The gateway's code for refusing our ping."""
    version: str | None
    model: str | None
    clock_skew_seconds: int | None
    """How far its clock is ahead of ours, to a second; known of a gateway that answers, be it a refusal."""
    answered_in_seconds: float | None


class InstallationHealth(Struct, frozen=True):
    """Both services, now."""

    at: datetime
    product: ProductHealth
    gateway: GatewayHealth
