"""The table of the audit log."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, Index, String, Text, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from b2b_chat.kit.database import Row


class AuditRow(Row):
    """One action. A trigger forbids changing or deleting it.

    It has no foreign keys, since a row must outlive whatever it names, and holds ids, roles and amounts but no address
    and no text of a message, since it can never be erased.
    """

    __tablename__ = "audit_log"
    __table_args__ = (
        CheckConstraint(
            "actor_kind IN ('user', 'api_key', 'operator', 'command_line', 'stranger')", name="actor_kind_is_known"
        ),
        CheckConstraint("outcome IN ('ok', 'refused')", name="outcome_is_known"),
        CheckConstraint("(outcome = 'refused') = (reason IS NOT NULL)", name="refusals_have_a_reason"),
        Index("ix_audit_log_at", "at", "id"),
        Index("ix_audit_log_company_id", "company_id", "at", "id"),
        Index("ix_audit_log_actor_id", "actor_id", "at", "id"),
        Index("ix_audit_log_actor_user_id", "actor_user_id", "at", "id"),
        Index("ix_audit_log_target_ids", "target_ids", postgresql_using="gin"),
    )

    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    company_id: Mapped[UUID | None]
    """The company concerned, which can read the row; None for what concerns the installation alone."""
    actor_kind: Mapped[str] = mapped_column(String(16))
    actor_id: Mapped[str] = mapped_column(String(200))
    actor_user_id: Mapped[UUID | None]
    action: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(64))
    """The refusal's code."""
    request_id: Mapped[str | None] = mapped_column(String(128))
    """Our own, which no client can choose."""
    client_request_id: Mapped[str | None] = mapped_column(String(128))
    """The client's `X-Request-ID`, where it sent one."""
    targets: Mapped[dict[str, str]] = mapped_column(JSONB)
    target_ids: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """The values of `targets`, for searches."""
    count: Mapped[int] = mapped_column(server_default="1")
    """How often it was done, where one row stands for many."""
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
