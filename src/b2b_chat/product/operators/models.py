"""Tables of operators and of what two of them want."""

from datetime import datetime
from uuid import UUID

from advanced_alchemy.base import DefaultBase
from sqlalchemy import DateTime, ForeignKey, String, func
from sqlalchemy.orm import Mapped, mapped_column


class OperatorRow(DefaultBase):
    """The right of a user to be an operator of this installation."""

    __tablename__ = "operators"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class OperatorApprovalRow(DefaultBase):
    """An operator's wish for an action that takes two. It counts for an hour, and is deleted once done."""

    __tablename__ = "operator_approvals"

    action: Mapped[str] = mapped_column(String(64), primary_key=True)
    target_id: Mapped[UUID] = mapped_column(primary_key=True)
    """The target."""
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    """The operator who requested it."""
    approved_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
