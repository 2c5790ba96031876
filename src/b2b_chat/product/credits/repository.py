"""SQL of accounts and the ledger, for the quiet use cases; a message's own movements are in `chat.repository`."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Date,
    String,
    Uuid,
    cast,
    column,
    exists,
    func,
    insert,
    select,
    table,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from b2b_chat.kit.database import Session
from b2b_chat.product.credits.models import AccountRow, EntryKind, LedgerEntryRow
from b2b_chat.product.credits.schemas import ALL_ENTRIES, LedgerFilter, Span


class ExternalIdTaken(Exception):
    """Another company's movement has just taken this external id."""


# Columns of other domains' tables that are read here.
_MESSAGES: Final = table("messages", column("id", Uuid), column("user_id", Uuid))
_USERS: Final = table("users", column("id", Uuid), column("email", String))

_FIRST = aliased(LedgerEntryRow)
_CHARGED_MESSAGE: Final = func.coalesce(
    LedgerEntryRow.message_id,
    select(_FIRST.message_id)
    .where(_FIRST.company_id == LedgerEntryRow.company_id, _FIRST.position == LedgerEntryRow.supplements_position)
    .scalar_subquery(),
)
"""The message of a charge; for a supplement, that of the charge that it supplements."""

_OUT_OF_ORDER: Final = timedelta(hours=1)
"""Far more than entries can be out of order by time: their times are when their transactions began."""


class UsedOn(NamedTuple):
    """The use of a day."""

    day: date
    answers: int
    charge_credits: Decimal


class UsedBy(NamedTuple):
    """The position of a member in a list by use."""

    charge_credits: Decimal
    user_id: UUID


class MemberUse(NamedTuple):
    """The use of one member."""

    user_id: UUID
    email: str
    answers: int
    charge_credits: Decimal


class AccountRepository:
    """Balances and the ledger, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def open(self, company_id: UUID) -> None:
        """Give a company an empty account."""
        await self._session.execute(insert(AccountRow).values(company_id=company_id))

    async def is_open(self, company_id: UUID) -> bool:
        """Return whether the company exists: each has an account."""
        return bool(await self._session.scalar(select(exists().where(AccountRow.company_id == company_id))))

    async def get(self, company_id: UUID) -> AccountRow:
        """Return the account of a company."""
        return (await self._session.scalars(select(AccountRow).where(AccountRow.company_id == company_id))).one()

    async def find_locked(self, company_id: UUID) -> AccountRow | None:
        """Return the account of a company, locked until the transaction ends."""
        query = select(AccountRow).where(AccountRow.company_id == company_id).with_for_update()
        return await self._session.scalar(query)

    async def find_entry(self, external_id: str) -> LedgerEntryRow | None:
        """Return the one movement, of any company, with this external id."""
        return await self._session.scalar(select(LedgerEntryRow).where(LedgerEntryRow.external_id == external_id))

    async def has_entry(self, company_id: UUID, position: int) -> bool:
        """Return whether the ledger of a company has an entry at this position."""
        found = select(exists().where(LedgerEntryRow.company_id == company_id, LedgerEntryRow.position == position))
        return bool(await self._session.scalar(found))

    async def move(
        self,
        company_id: UUID,
        amount_credits: Decimal,
        kind: EntryKind,
        *,
        external_id: str | None = None,
        corrects_position: int | None = None,
    ) -> LedgerEntryRow:
        """Move a balance, and return its ledger entry.

        Raises:
            ExternalIdTaken: The external id was given to another company's movement at the same time.
        """
        moved = (
            update(AccountRow)
            .where(AccountRow.company_id == company_id)
            .values(balance_credits=AccountRow.balance_credits + amount_credits, entries=AccountRow.entries + 1)
            .returning(AccountRow.balance_credits, AccountRow.entries)
        )
        balance, position = (await self._session.execute(moved)).one()
        entry = (
            insert(LedgerEntryRow)
            .values(
                company_id=company_id,
                position=position,
                kind=kind,
                amount_credits=amount_credits,
                balance_after_credits=balance,
                external_id=external_id,
                corrects_position=corrects_position,
            )
            .returning(LedgerEntryRow)
        )
        try:
            return (await self._session.scalars(entry)).one()
        except IntegrityError as error:
            if "uq_ledger_external_id" in str(error.orig):
                raise ExternalIdTaken from error
            raise

    async def list_entries(
        self, company_id: UUID, *, before: int | None, limit: int, wanted: LedgerFilter = ALL_ENTRIES
    ) -> list[LedgerEntryRow]:
        """Return the wanted entries of a company, newest first, below a position."""
        query = select(LedgerEntryRow).where(*_within(company_id, wanted.span))
        if wanted.kind is not None:
            query = query.where(LedgerEntryRow.kind == EntryKind(wanted.kind))
        if before is not None:
            query = query.where(LedgerEntryRow.position < before)
        return list(await self._session.scalars(query.order_by(LedgerEntryRow.position.desc()).limit(limit)))


class UsageRepository:
    """Sums of a company's charges, within one transaction.

    The ledger has no index by time, which every charge would pay for: its key, scanned backwards, leads to the start of
    a period. So a report costs as much as there are entries since then.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    async def by_day(self, company_id: UUID, span: Span, *, user_id: UUID | None) -> list[UsedOn]:
        """Return the use of a company, or of one user in it, by day of UTC; days without use are omitted."""
        day = cast(func.timezone("UTC", LedgerEntryRow.created_at), Date)
        charges = await self._charges(company_id, span)
        answers = func.count(LedgerEntryRow.message_id)  # a supplement is of an answer that is counted already
        query = select(day, answers, -func.sum(LedgerEntryRow.amount_credits)).where(*charges)
        if user_id is not None:
            query = query.join(_MESSAGES, _MESSAGES.c.id == _CHARGED_MESSAGE).where(_MESSAGES.c.user_id == user_id)
        rows = await self._session.execute(query.group_by(day))
        return [UsedOn(*row) for row in rows]

    async def by_member(self, company_id: UUID, span: Span, *, after: UsedBy | None, limit: int) -> list[MemberUse]:
        """Return the use of each user in a company, highest first, below a position; users may have left it since."""
        used = -func.sum(LedgerEntryRow.amount_credits)
        query = (
            select(_USERS.c.id, _USERS.c.email, func.count(LedgerEntryRow.message_id), used)
            .join_from(LedgerEntryRow, _MESSAGES, _MESSAGES.c.id == _CHARGED_MESSAGE)
            .join(_USERS, _USERS.c.id == _MESSAGES.c.user_id)
            .where(*await self._charges(company_id, span))
            .group_by(_USERS.c.id)
        )
        if after is not None:
            query = query.having(tuple_(used, _USERS.c.id) < tuple_(after.charge_credits, after.user_id))
        rows = await self._session.execute(query.order_by(used.desc(), _USERS.c.id.desc()).limit(limit))
        return [MemberUse(*row) for row in rows]

    async def _charges(self, company_id: UUID, span: Span) -> list[ColumnElement[bool]]:
        conditions = [*_within(company_id, span), LedgerEntryRow.kind == EntryKind.CHARGE]
        if span.since is not None:
            surely_before = [*_within(company_id, Span(until=_earlier(span.since, _OUT_OF_ORDER)))]
            last_before = await self._session.scalar(select(func.max(LedgerEntryRow.position)).where(*surely_before))
            conditions.append(LedgerEntryRow.position > (last_before or 0))
        return conditions


def _within(company_id: UUID, span: Span) -> Iterator[ColumnElement[bool]]:
    yield LedgerEntryRow.company_id == company_id
    if span.since is not None:
        yield LedgerEntryRow.created_at >= span.since
    if span.until is not None:
        yield LedgerEntryRow.created_at < span.until


def _earlier(moment: datetime, by: timedelta) -> datetime:
    """Return the moment so much before another, or the first possible moment."""
    first = datetime.min.replace(tzinfo=UTC)
    return first if moment - first < by else moment - by
