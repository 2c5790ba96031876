"""The table of mails: the outbox, and what became of each."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, DateTime, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from b2b_chat.kit.database import Row


class MailState(StrEnum):
    """How far a mail has come."""

    PENDING = "pending"
    SENT = "sent"
    DEAD = "dead"
    """Given up: refused for good, or no longer of use."""


class MailRow(Row):
    """A mail to be sent, written in the transaction of whatever it tells of.

    A sender takes a pending mail that is due by moving `due_at` past the longest that sending can take: until then
    nobody else takes it, and after the death of the sender someone does.
    """

    __tablename__ = "mails"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'sent', 'dead')", name="state_is_known"),
        CheckConstraint("(state = 'pending') = (resolved_at IS NULL)", name="resolved_has_a_time"),
        Index("ix_mails_pending", "due_at", postgresql_where="state = 'pending'"),
    )

    recipient: Mapped[str] = mapped_column(String(254))
    template: Mapped[str] = mapped_column(String(32))
    language: Mapped[str] = mapped_column(String(2))
    sealed_fields: Mapped[bytes | None] = mapped_column(LargeBinary)
    """What the template is filled with, encrypted, since there are links and codes in it; gone once resolved."""
    state: Mapped[str] = mapped_column(String(16), server_default=MailState.PENDING)
    attempts: Mapped[int] = mapped_column(server_default="0")
    problem: Mapped[str | None] = mapped_column(String(64))
    """Why the last attempt failed."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    useful_until: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    resolved_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), index=True)
