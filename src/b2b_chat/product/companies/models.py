"""Tables of companies and memberships."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from advanced_alchemy.base import DefaultBase
from sqlalchemy import CheckConstraint, DateTime, ForeignKey, String, func
from sqlalchemy.orm import Mapped, mapped_column

from b2b_chat.kit.database import Row


class Role(StrEnum):
    """What a member may do in a company, weakest first."""

    MEMBER = "member"
    ADMIN = "admin"
    OWNER = "owner"


class CompanyRow(Row):
    """A customer."""

    __tablename__ = "companies"

    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class MembershipRow(DefaultBase):
    """That a user belongs to a company, and as what."""

    __tablename__ = "memberships"
    __table_args__ = (CheckConstraint("role IN ('member', 'admin', 'owner')", name="role_is_known"),)

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
