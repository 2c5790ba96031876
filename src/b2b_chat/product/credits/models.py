"""Tables of accounts, holds and the ledger."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from advanced_alchemy.base import DefaultBase
from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Numeric,
    String,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from b2b_chat.kit.database import Row

CREDITS = Numeric(20, 6)


class EntryKind(StrEnum):
    """Why a balance moved."""

    TOP_UP = "top_up"
    CHARGE = "charge"
    ADJUSTMENT = "adjustment"


class AccountRow(DefaultBase):
    """A company's balance, and how much of it is held for running answers.

    The row is the lock of all its movements; `entries` numbers them without a gap.
    """

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("held_credits >= 0", name="held_is_not_negative"),
        CheckConstraint("balance_credits >= held_credits", name="held_is_covered"),
    )

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    balance_credits: Mapped[Decimal] = mapped_column(CREDITS, server_default="0")
    held_credits: Mapped[Decimal] = mapped_column(CREDITS, server_default="0")
    entries: Mapped[int] = mapped_column(BigInteger, server_default="0")
    recent_completion_tokens: Mapped[list[int | None]] = mapped_column(ARRAY(Integer), server_default="{}")
    """How long the last hundred answers were, in no order: what is held for the next follows from it."""


class HoldRow(Row):
    """Credits set aside for one attempt at answering a message."""

    __tablename__ = "holds"
    __table_args__ = (
        CheckConstraint("amount_credits > 0", name="amount_is_positive"),
        CheckConstraint("state IN ('live', 'posted', 'voided', 'expired')", name="state_is_known"),
        Index("uq_holds_live_message_id", "message_id", unique=True, postgresql_where="state = 'live'"),
        Index("ix_holds_live_user_id", "company_id", "user_id", postgresql_where="state = 'live'"),
    )

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id"))
    user_id: Mapped[UUID | None]
    """Whose message it is; None for holds of releases before this column. The message has the foreign key."""
    message_id: Mapped[UUID] = mapped_column(ForeignKey("messages.id"))
    amount_credits: Mapped[Decimal] = mapped_column(CREDITS)
    state: Mapped[str] = mapped_column(String(16), server_default="live")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    resolved_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class LedgerEntryRow(DefaultBase):
    """One movement of a company's balance. A trigger forbids changing or deleting it."""

    __tablename__ = "ledger"
    __table_args__ = (
        CheckConstraint("kind IN ('top_up', 'charge', 'adjustment')", name="kind_is_known"),
        CheckConstraint("balance_after_credits >= 0", name="balance_after_is_not_negative"),
        CheckConstraint(
            "(kind = 'charge') = (message_id IS NOT NULL OR supplements_position IS NOT NULL)",
            name="charges_name_a_message",
        ),
        CheckConstraint(
            "supplements_position IS NULL OR (message_id IS NULL AND supplements_position < position)",
            name="supplements_point_back",
        ),
        CheckConstraint(
            "corrects_position IS NULL OR (kind = 'adjustment' AND corrects_position < position)",
            name="corrections_point_back",
        ),
        ForeignKeyConstraint(["company_id", "corrects_position"], ["ledger.company_id", "ledger.position"]),
    )

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """1, 2, 3 … in each company, in the order of the movements."""
    kind: Mapped[str] = mapped_column(String(16))
    amount_credits: Mapped[Decimal] = mapped_column(CREDITS)
    balance_after_credits: Mapped[Decimal] = mapped_column(CREDITS)
    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("messages.id"), unique=True)
    external_id: Mapped[str | None] = mapped_column(String(128), unique=True)
    """The movement's name elsewhere, such as an invoice's number; unique across companies."""
    corrects_position: Mapped[int | None] = mapped_column(BigInteger)
    """The entry of the same company that an adjustment corrects."""
    supplements_position: Mapped[int | None] = mapped_column(BigInteger)
    """For a charge without a message: the charge of an earlier attempt at the same message, which cost less."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
