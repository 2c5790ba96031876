"""Tables of companies, memberships and invites."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from advanced_alchemy.base import DefaultBase
from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, String, func
from sqlalchemy.orm import Mapped, mapped_column

from b2b_chat.kit.database import Row
from b2b_chat.product.vocabulary import Language


class InviteState(StrEnum):
    """The state of an invite. A pending one whose time is over is expired."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REVOKED = "revoked"


class CompanyRow(Row):
    """A customer."""

    __tablename__ = "companies"

    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    blocked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Since when an operator has blocked it."""
    needs_second_factor: Mapped[bool] = mapped_column(server_default="false")
    """Whether its admins and owners must prove a second factor."""


class MembershipRow(DefaultBase):
    """The membership of a user in a company."""

    __tablename__ = "memberships"
    __table_args__ = (CheckConstraint("role IN ('member', 'admin', 'owner')", name="role_is_known"),)

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    blocked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Since when the company's admins do not let the member act in it."""


class InviteRow(Row):
    """An invite into a company. Only a hash of the mailed token is kept."""

    __tablename__ = "invites"
    __table_args__ = (
        CheckConstraint("email = lower(email)", name="email_is_lower_case"),
        CheckConstraint("role IN ('member', 'admin', 'owner')", name="role_is_known"),
        CheckConstraint("state IN ('pending', 'accepted', 'revoked')", name="state_is_known"),
        CheckConstraint("(state = 'pending') = (closed_at IS NULL)", name="closed_ones_tell_when"),
        Index("ix_invites_company_id", "company_id", "id"),
        Index("ix_invites_pending_email", "email", postgresql_where="state = 'pending'"),
    )

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id"))
    email: Mapped[str] = mapped_column(String(254))
    role: Mapped[str] = mapped_column(String(16))
    language: Mapped[Language] = mapped_column(String(2))
    """In which the mail is written."""
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    state: Mapped[str] = mapped_column(String(16))
    invited_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    sent_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """When the latest token was made."""
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When it was accepted or revoked."""
