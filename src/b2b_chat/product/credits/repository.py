"""SQL of accounts and the ledger, for the quiet use cases; a message's own movements are in `chat.repository`."""

from decimal import Decimal
from uuid import UUID

from sqlalchemy import insert, select, update

from b2b_chat.kit.database import Session
from b2b_chat.product.credits.models import AccountRow, EntryKind, LedgerEntryRow


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

    async def top_up(self, company_id: UUID, amount_credits: Decimal) -> Decimal:
        """Add credits with their ledger entry, and return the balance after."""
        moved = (
            update(AccountRow)
            .where(AccountRow.company_id == company_id)
            .values(balance_credits=AccountRow.balance_credits + amount_credits, entries=AccountRow.entries + 1)
            .returning(AccountRow.balance_credits, AccountRow.entries)
        )
        balance, position = (await self._session.execute(moved)).one()
        await self._session.execute(
            insert(LedgerEntryRow).values(
                company_id=company_id,
                position=position,
                kind=EntryKind.TOP_UP,
                amount_credits=amount_credits,
                balance_after_credits=balance,
            )
        )
        return Decimal(balance)

    async def list_entries(self, company_id: UUID, *, before: int | None, limit: int) -> list[LedgerEntryRow]:
        """The entries of a company, newest first, below a position."""
        query = select(LedgerEntryRow).where(LedgerEntryRow.company_id == company_id)
        if before is not None:
            query = query.where(LedgerEntryRow.position < before)
        return list(await self._session.scalars(query.order_by(LedgerEntryRow.position.desc()).limit(limit)))
