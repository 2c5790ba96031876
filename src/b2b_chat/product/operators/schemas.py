"""What the operators' API takes and answers."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from b2b_chat.product.companies.models import Role


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
