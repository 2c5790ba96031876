"""The table of mails: the outbox and its history."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, DateTime, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from b2b_chat.kit.database import Row


class MailState(StrEnum):
    """The state of a mail."""

    PENDING = "pending"
    SENT = "sent"
    DEAD = "dead"
    """Given up: refused for good, or no longer useful."""


class MailRow(Row):
    """A mail to be sent, written in the transaction that it reports on.

    A sender leases a pending mail that is due by moving `due_at` past the longest time that sending takes: until then
    no other sender takes it, and if the sender dies, another one does.
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
    """The template's fields, encrypted, since they hold links and codes; deleted once resolved."""
    state: Mapped[str] = mapped_column(String(16), server_default=MailState.PENDING)
    attempts: Mapped[int] = mapped_column(server_default="0")
    problem: Mapped[str | None] = mapped_column(String(64))
    """Why the last attempt failed."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    useful_until: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    resolved_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), index=True)
