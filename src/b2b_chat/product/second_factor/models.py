"""The table of second factors."""

from datetime import datetime
from uuid import UUID

from advanced_alchemy.base import DefaultBase
from sqlalchemy import ARRAY, BigInteger, DateTime, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column


class SecondFactorRow(DefaultBase):
    """The second factor of a person: one that counts, one that is being set up, or both."""

    __tablename__ = "second_factors"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The secret, and hashes of the recovery codes that are left, encrypted; None until it counts."""
    sealed_pending: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The same of one that is being set up."""
    sealed_under: Mapped[str] = mapped_column(String(16))
    """Which key both are encrypted under."""
    last_step: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """The time step of the latest code that was accepted: no code of this or an earlier step is accepted again."""
    wrong_at: Mapped[list[datetime]] = mapped_column(ARRAY(DateTime(timezone=True)), server_default="{}")
    """When wrong codes were entered, those of the last hour."""
