"""Bodies of the companies API."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from b2b_chat.kit.visible import VISIBLE, VISIBLE_LINE, require_visible
from b2b_chat.product.identity.schemas import Email
from b2b_chat.product.vocabulary import Language, Role, Scope


class CompanyCreate(Struct, frozen=True, forbid_unknown_fields=True):
    """A new company."""

    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=VISIBLE_LINE)]
    owner_email: Email
    """Whose company it is. The person can sign in with this address at once, known before or not."""

    def __post_init__(self) -> None:
        require_visible("name", self.name)


class Company(Struct, frozen=True):
    """A company."""

    id: UUID
    name: str
    created_at: datetime
    blocked_at: datetime | None
    """Since when an operator has blocked it."""
    needs_second_factor: bool
    """Whether its admins and owners are asked for a second factor."""


class CompanyChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be asked of the company's admins and owners."""

    needs_second_factor: bool


class CompanyOverview(Struct, frozen=True):
    """A company, as operators see it."""

    id: UUID
    name: str
    created_at: datetime
    blocked_at: datetime | None
    balance_credits: Decimal
    held_credits: Decimal
    """The part of the balance that is set aside for answers being written now."""


class Member(Struct, frozen=True):
    """A person of a company."""

    user_id: UUID
    email: str
    role: Role
    joined_at: datetime
    blocked_at: datetime | None
    """Since when the company's admins do not let the member act in it."""


class MemberChange(Struct, frozen=True, forbid_unknown_fields=True):
    """A change to a member."""

    role: Role


class InviteCreate(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to invite, with which role, and the language of the mail; by default that of `Accept-Language`."""

    email: Email
    role: Role
    language: Language | None = None


class Invite(Struct, frozen=True):
    """An invite into the company. Only the mail has its token."""

    id: UUID
    email: str
    role: Role
    state: Literal["pending", "accepted", "revoked", "expired"]
    invited_by: UUID
    created_at: datetime
    sent_at: datetime
    """When the mail with the valid token was written; resending moves it."""
    expires_at: datetime
    closed_at: datetime | None
    """When it was accepted or revoked."""


class InviteAcceptance(Struct, frozen=True, forbid_unknown_fields=True):
    """The token of an invite, as the mailed link has it after the `#`."""

    token: Annotated[str, Meta(min_length=1, max_length=200)]


class Membership(Struct, frozen=True):
    """Your membership in a company."""

    company_id: UUID
    company_name: str
    role: Role


class ApiKeyCreate(Struct, frozen=True, forbid_unknown_fields=True):
    """A new key. It acts in your name, within your rights."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=VISIBLE)]
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=len(Scope))]
    expires_in_days: Annotated[int, Meta(ge=1, le=3650)] | None = None
    """A key without this lasts until it is revoked."""

    def __post_init__(self) -> None:
        require_visible("name", self.name)
