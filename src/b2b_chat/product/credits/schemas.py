"""Bodies of the credits API. Amounts are decimal strings, so that no client reads them as floats."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Final, Literal, NamedTuple
from uuid import UUID

from msgspec import Meta, Struct

from b2b_chat.kit.text import PRINTABLE_ASCII, form
from b2b_chat.kit.visible import VISIBLE, require_visible

ExternalId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        pattern=PRINTABLE_ASCII,
        description="The movement's name outside, as an invoice's number. The same one again moves nothing.",
    ),
]


EntryKindName = Literal["top_up", "charge", "adjustment"]


class Balance(Struct, frozen=True):
    """What a company has."""

    balance_credits: Decimal
    held_credits: Decimal
    """The part that is set aside for answers being written now."""
    available_credits: Decimal


class LedgerEntry(Struct, frozen=True):
    """One movement of the balance."""

    position: int
    kind: EntryKindName
    amount_credits: Decimal
    balance_after_credits: Decimal
    message_id: UUID | None
    """The user's message that was answered, for a charge."""
    external_id: str | None
    """What the operator called the movement, for a top-up or an adjustment."""
    corrects_position: int | None
    """The position of the entry that an adjustment corrects."""
    created_at: datetime
    supplements_position: int | None
    """The position of an earlier charge for the same message that this charge adds to."""


class DayUsage(Struct, frozen=True):
    """What was used on a day of UTC."""

    day: date
    answers: int
    """Paid answers only; failed ones are not counted."""
    charge_credits: Decimal


class UsageReport(Struct, frozen=True):
    """What was used in some days."""

    first_day: date
    last_day: date
    answers: int
    """In all of them."""
    charge_credits: Decimal
    days: list[DayUsage]
    """Each of them, in order."""


class MemberUsage(Struct, frozen=True):
    """The use of one person in the company, who may have left it since."""

    user_id: UUID
    email: str
    answers: int
    charge_credits: Decimal


class CreditsAdd(Struct, frozen=True, forbid_unknown_fields=True):
    """Credits that a company has paid for."""

    amount_credits: Annotated[
        str,
        Meta(
            pattern=form(r"^(?=.*[1-9])[0-9]{1,9}(\.[0-9]{1,6})?\Z", "a decimal number above zero in a string"),
            description="More than zero, with up to nine digits before the point and six behind it.",
            examples=["100", "12.5"],
        ),
    ]
    external_id: ExternalId


class CreditsAdjust(Struct, frozen=True, forbid_unknown_fields=True):
    """A correction of one entry of a company's ledger, up or down. The entry itself stays as it is."""

    corrects_position: Annotated[
        int, Meta(ge=1, le=2**63 - 1, description="The `position` of the entry that is corrected.")
    ]
    amount_credits: Annotated[
        str,
        Meta(
            pattern=form(r"^-?(?=.*[1-9])[0-9]{1,9}(\.[0-9]{1,6})?\Z", "a decimal number in a string, not zero"),
            description="More or less than zero, with up to nine digits before the point and six behind it.",
            examples=["-12.5"],
        ),
    ]
    external_id: ExternalId
    reason: Annotated[str, Meta(min_length=1, max_length=500, pattern=VISIBLE)]
    """Kept in the audit log."""

    def __post_init__(self) -> None:
        require_visible("reason", self.reason)


class Span(NamedTuple):
    """The time from one moment until before another; None means no bound."""

    since: datetime | None = None
    until: datetime | None = None


ALL_TIME: Final = Span()


class LedgerFilter(NamedTuple):
    """The wanted entries of a ledger."""

    span: Span = ALL_TIME
    kind: EntryKindName | None = None
    """None means any."""


ALL_ENTRIES: Final = LedgerFilter()
