"""How many values were hidden in a company's messages: by kind and day, never which."""

from collections import Counter
from datetime import date, timedelta

from msgspec import Struct

from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.kit.days import days_before, end_of, start_of
from b2b_chat.product.conversations.repository import ConversationRepository
from b2b_chat.product.transactions import TransactionFactory
from b2b_chat.product.viewer import Viewer


class MaskDay(Struct, frozen=True):
    """A day of UTC, and what was hidden on it."""

    day: date
    counts: dict[str, int]
    """How many values by kind; kinds without any are left out."""


class MaskCounts(Struct, frozen=True):
    """How many values were hidden in the messages of a company's people.

    Values in conversations that were deleted since are not counted.
    """

    first_day: date
    last_day: date
    values: int
    """How many in all."""
    counts: dict[str, int]
    """How many by kind, most first."""
    days: list[MaskDay]


class MaskStatistics:
    """Counts what was hidden, from the masks that are stored with the messages."""

    def __init__(self, reading: TransactionFactory, *, clock: Clock = utc_now) -> None:
        self._reading = reading
        self._clock = clock

    async def of_company(self, viewer: Viewer, days: int, last_day: date | None) -> MaskCounts:
        """Count what was hidden in the messages of the viewer's company on so many days, today the last unless given.

        Raises:
            TookTooLong: The database took too long.
        """
        last = last_day or self._clock().date()
        first = days_before(last, days - 1)
        async with self._reading() as tx:
            found = await tx[ConversationRepository].count_masks(viewer.company_id, start_of(first), end_of(last))
        by_day: dict[date, dict[str, int]] = {
            first + timedelta(days=number): {} for number in range((last - first).days + 1)
        }
        in_all: Counter[str] = Counter()
        for day, kind, count in found:
            by_day[day][kind] = count
            in_all[kind] += count
        return MaskCounts(
            first_day=first,
            last_day=last,
            values=in_all.total(),
            counts=dict(in_all.most_common()),
            days=[MaskDay(day, counts) for day, counts in by_day.items()],
        )
