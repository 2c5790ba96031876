"""SQL of accounts and the ledger, for the quiet use cases; a message's own movements are in `chat.repository`."""

from decimal import Decimal
from uuid import UUID

from sqlalchemy import exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from b2b_chat.kit.database import Session
from b2b_chat.product.credits.models import AccountRow, EntryKind, LedgerEntryRow


class ExternalIdTaken(Exception):
    """A movement of another company has this external id, since a moment ago."""


class AccountRepository:
    """Balances and the ledger, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def open(self, company_id: UUID) -> None:
        """Give a company an empty account."""
        await self._session.execute(insert(AccountRow).values(company_id=company_id))

    async def get(self, company_id: UUID) -> AccountRow:
        """The account of a company."""
        return (await self._session.scalars(select(AccountRow).where(AccountRow.company_id == company_id))).one()

    async def find_locked(self, company_id: UUID) -> AccountRow | None:
        """The account of a company, which nobody else moves until the transaction ends."""
        query = select(AccountRow).where(AccountRow.company_id == company_id).with_for_update()
        return await self._session.scalar(query)

    async def find_entry(self, external_id: str) -> LedgerEntryRow | None:
        """The one movement, of any company, with this external id."""
        return await self._session.scalar(select(LedgerEntryRow).where(LedgerEntryRow.external_id == external_id))

    async def has_entry(self, company_id: UUID, position: int) -> bool:
        """Whether the ledger of a company has an entry at this position."""
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
        """Move a balance, and return the ledger entry that tells of it.

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

    async def list_entries(self, company_id: UUID, *, before: int | None, limit: int) -> list[LedgerEntryRow]:
        """The entries of a company, newest first, below a position."""
        query = select(LedgerEntryRow).where(LedgerEntryRow.company_id == company_id)
        if before is not None:
            query = query.where(LedgerEntryRow.position < before)
        return list(await self._session.scalars(query.order_by(LedgerEntryRow.position.desc()).limit(limit)))
