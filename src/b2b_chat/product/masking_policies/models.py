"""Tables of masking policies."""

from datetime import datetime
from typing import Any
from uuid import UUID

from advanced_alchemy.base import DefaultBase
from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    Text,
    func,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column


class MaskingPolicyRow(DefaultBase):
    """What a company has set; one without a row has set nothing, and the defaults hold for it."""

    __tablename__ = "masking_policies"

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, server_default="0")
    policy: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    terms_version: Mapped[int] = mapped_column(Integer, server_default="0")
    terms: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    """The company's own words, which are masked."""
    allowed: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    """Values that are not masked."""
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class MaskingWishRow(DefaultBase):
    """What a member adds to the company's policy for their own messages."""

    __tablename__ = "masking_wishes"
    __table_args__ = (
        ForeignKeyConstraint(
            ["company_id", "user_id"], ["memberships.company_id", "memberships.user_id"], ondelete="CASCADE"
        ),
    )

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    policy: Mapped[dict[str, Any]] = mapped_column(JSONB)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class MaskingFloorRow(DefaultBase):
    """The least that is done for every company of this installation: one row, or none."""

    __tablename__ = "masking_floor"
    __table_args__ = (CheckConstraint("is_only", name="there_is_one"),)

    is_only: Mapped[bool] = mapped_column(Boolean, primary_key=True, server_default=true())
    version: Mapped[int] = mapped_column(Integer)
    policy: Mapped[dict[str, Any]] = mapped_column(JSONB)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
