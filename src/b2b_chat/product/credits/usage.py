"""The use of a company: answers and credits, by day and by member."""

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from msgspec import Struct

from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.kit.days import days_before, end_of, start_of
from b2b_chat.kit.errors import InvalidRequest
from b2b_chat.kit.pagination import Page
from b2b_chat.kit.text import form
from b2b_chat.product.credits.repository import UsageRepository, UsedBy
from b2b_chat.product.credits.schemas import DayUsage, MemberUsage, Span, UsageReport
from b2b_chat.product.transactions import TransactionFactory
from b2b_chat.product.viewer import Viewer

MAX_DAYS: Final = 92
MEMBER_CURSOR: Final = form(
    "^[0-9]{1,14}[.][0-9]{6}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "a cursor that this list gave"
)
"""The cursor of a list by use: the credits and the id of its last member."""


class Period(Struct, frozen=True):
    """Some days in a row."""

    days: int
    """How many, from 1 to `MAX_DAYS`."""
    last_day: date | None = None
    """Today unless given."""


class UsageReports:
    """Reports from the ledger, which has one charge for each answer that was paid for."""

    def __init__(self, reading: TransactionFactory, *, clock: Clock = utc_now) -> None:
        self._reading = reading
        self._clock = clock

    async def by_day(self, viewer: Viewer, period: Period, *, user_id: UUID | None = None) -> UsageReport:
        """Return the use of the viewer's company, or of one person in it, on each day of a period."""
        first_day, last_day = self._bounds(period)
        async with self._reading() as tx:
            used = await tx[UsageRepository].by_day(viewer.company_id, _span(first_day, last_day), user_id=user_id)
        found = {each.day: each for each in used}
        every_day = [first_day + timedelta(days=number) for number in range((last_day - first_day).days + 1)]
        days = [
            DayUsage(day, found[day].answers, found[day].charge_credits)
            if day in found
            else DayUsage(day, 0, Decimal(0))
            for day in every_day
        ]
        return UsageReport(
            first_day=first_day,
            last_day=last_day,
            answers=sum(day.answers for day in days),
            charge_credits=sum((day.charge_credits for day in days), Decimal(0)),
            days=days,
        )

    async def own_by_day(self, viewer: Viewer, period: Period) -> UsageReport:
        """Return the viewer's own use in the company on each day of a period."""
        return await self.by_day(viewer, period, user_id=viewer.user_id)

    async def by_member(self, viewer: Viewer, period: Period, *, cursor: str | None, limit: int) -> Page[MemberUsage]:
        """Return the use of each person in the viewer's company in a period, highest first, without those of no use.

        Raises:
            InvalidRequest: The cursor is not one that this list gave.
        """
        after = _read_cursor(cursor)
        async with self._reading() as tx:
            used = await tx[UsageRepository].by_member(
                viewer.company_id, _span(*self._bounds(period)), after=after, limit=limit + 1
            )
        items = [MemberUsage(each.user_id, each.email, each.answers, each.charge_credits) for each in used[:limit]]
        more = len(used) > limit
        return Page(items, f"{items[-1].charge_credits:.6f}_{items[-1].user_id}" if more else None)

    def _bounds(self, period: Period) -> tuple[date, date]:
        last_day = period.last_day or self._clock().date()
        return days_before(last_day, period.days - 1), last_day


def _span(first_day: date, last_day: date) -> Span:
    return Span(start_of(first_day), end_of(last_day))


def _read_cursor(cursor: str | None) -> UsedBy | None:
    if cursor is None:
        return None
    if re.fullmatch(MEMBER_CURSOR, cursor, re.ASCII) is None:
        raise InvalidRequest("cursor: not one of this list.", param="cursor")
    amount, _, user_id = cursor.partition("_")
    return UsedBy(Decimal(amount), UUID(user_id))
