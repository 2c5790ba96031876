"""What the credits API answers. Amounts are decimal strings, so that no client reads them as floats."""

from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from msgspec import Struct


class Balance(Struct, frozen=True):
    """What a company has."""

    balance_credits: Decimal
    held_credits: Decimal
    """The part that is set aside for answers being written now."""
    available_credits: Decimal


class LedgerEntry(Struct, frozen=True):
    """One movement of the balance."""

    position: int
    kind: Literal["top_up", "charge"]
    amount_credits: Decimal
    balance_after_credits: Decimal
    message_id: UUID | None
    """The user's message that was answered, for a charge."""
    created_at: datetime
