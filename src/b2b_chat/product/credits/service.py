"""A company's credits."""

from decimal import Decimal
from uuid import UUID

from b2b_chat.kit.errors import InvalidRequest, Refusal
from b2b_chat.kit.pages import Page
from b2b_chat.product.credits.models import LedgerEntryRow
from b2b_chat.product.credits.schemas import Balance, LedgerEntry
from b2b_chat.product.identity.service import Viewer
from b2b_chat.product.transactions import TransactionFactory


class InsufficientCredits(Refusal):
    """The company has nothing left to pay an answer with."""

    code, status = "insufficient_credits", 402
    message = "Insufficient credits: the company's balance is used up. Ask your admin to add credits."


class Credits:
    """Adding credits, and telling what became of them."""

    def __init__(self, transaction: TransactionFactory) -> None:
        self._transaction = transaction

    async def top_up(self, company_id: UUID, amount_credits: Decimal) -> Decimal:
        """Add credits to a company and return its balance."""
        async with self._transaction() as tx:
            return await tx.accounts.top_up(company_id, amount_credits)

    async def balance(self, viewer: Viewer) -> Balance:
        """What the viewer's company has."""
        async with self._transaction() as tx:
            account = await tx.accounts.get(viewer.company_id)
        available = account.balance_credits - account.held_credits
        return Balance(account.balance_credits, account.held_credits, available)

    async def list_entries(self, viewer: Viewer, *, cursor: str | None, limit: int) -> Page[LedgerEntry]:
        """The ledger of the viewer's company, newest first.

        Raises:
            InvalidRequest: The cursor is not one that this list gave.
        """
        if cursor is not None and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):  # noqa: PLR2004 - digits of a bigint
            raise InvalidRequest("cursor: not one of this list.")
        before = int(cursor) if cursor else None
        async with self._transaction() as tx:
            rows = await tx.accounts.list_entries(viewer.company_id, before=before, limit=limit + 1)
        more = len(rows) > limit
        return Page([_entry(row) for row in rows[:limit]], str(rows[limit - 1].position) if more else None)


def _entry(row: LedgerEntryRow) -> LedgerEntry:
    return LedgerEntry(
        position=row.position,
        kind="charge" if row.kind == "charge" else "top_up",
        amount_credits=row.amount_credits,
        balance_after_credits=row.balance_after_credits,
        message_id=row.message_id,
        created_at=row.created_at,
    )
