"""A company's credits."""

from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Final
from uuid import UUID

import structlog
from msgspec import Struct

from b2b_chat.kit.errors import InvalidRequest
from b2b_chat.kit.exports import CsvDialect, ExportFormat
from b2b_chat.kit.pagination import Page
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import Actor
from b2b_chat.product.audit.service import record_action
from b2b_chat.product.credits.export import export_entries, export_head
from b2b_chat.product.credits.models import AccountRow, EntryKind, LedgerEntryRow
from b2b_chat.product.credits.repository import AccountRepository, ExternalIdTaken
from b2b_chat.product.credits.schemas import ALL_ENTRIES, Balance, CreditsAdd, CreditsAdjust, LedgerEntry, LedgerFilter
from b2b_chat.product.limits.turns import Turns
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.transactions import Transaction, TransactionFactory
from b2b_chat.product.viewer import Viewer

MAX_BALANCE_CREDITS: Final = Decimal(10_000_000_000_000)
_EXPORT_BATCH: Final = 500

log = structlog.get_logger(__name__)


class CompanyNotFound(Refusal):
    """There is no such company, and so no account."""

    code, status = "company_not_found", 404
    param = "company_id"
    message = "There is no company with this id."


class InsufficientCredits(Refusal):
    """The company's balance does not pay for the message and a useful answer."""

    code, status = "insufficient_credits", 402
    message = "Insufficient credits: the balance does not cover an answer to this. Ask your admin to add credits."


class CreditsHeld(Refusal):
    """The company has credits, but answers that are being written hold them."""

    code, status, retryable = "credits_held", 402, True
    message = "The company's credits are held for answers that are being written. Try again when one has ended."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "5"})


class TooManyOpenAnswers(Refusal):
    """As many of the user's answers are being written as one user may have at once."""

    code, status, retryable = "too_many_open_answers", 429, True
    message = "Too many of your answers are being written. Wait until one has ended, or stop one, and try again."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "5"})


class BalanceOutOfRange(Refusal):
    """The balance would fall below what running answers hold, or rise above what is possible."""

    code, status = "balance_out_of_range", 409
    param = "amount_credits"
    message = "The balance would fall below zero, or below what is held for running answers, or rise too high."


class ExternalIdConflict(Refusal):
    """The external id names another movement."""

    code, status = "external_id_conflict", 409
    param = "external_id"
    message = "This external_id was used for another company, amount or kind of movement. Check it for a mistake."


class LedgerEntryNotFound(Refusal):
    """There is nothing to correct at this position."""

    code, status = "ledger_entry_not_found", 404
    param = "corrects_position"
    message = "The company's ledger has no entry at this position. See its ledger for the entry to correct."


class Movement(Struct, frozen=True):
    """A movement of a balance, as an operator orders it."""

    action: Action
    kind: EntryKind
    amount_credits: Decimal
    external_id: str
    reason: str | None = None
    corrects_position: int | None = None

    def is_told_by(self, entry: LedgerEntryRow, company_id: UUID) -> bool:
        """Return whether an entry of the ledger is this movement, made before."""
        known = (entry.company_id, entry.kind, entry.amount_credits, entry.corrects_position)
        return known == (company_id, self.kind, self.amount_credits, self.corrects_position)


async def open_account(tx: Transaction, company_id: UUID) -> None:
    """Give a new company an empty account."""
    await tx[AccountRepository].open(company_id)


class Credits:
    """Moving a company's balance, and reporting the result."""

    def __init__(self, transaction: TransactionFactory, reading: TransactionFactory) -> None:
        self._transaction = transaction
        self._reading = reading
        self._exporting = Turns()

    async def add(self, actor: Actor, company_id: UUID, addition: CreditsAdd) -> LedgerEntry:
        """Add credits that were paid for. The same external id again returns what it did the first time.

        Raises:
            CompanyNotFound: There is no such company.
            ExternalIdConflict: The external id was used for another movement.
            BalanceOutOfRange: The balance would be too high.
        """
        amount = Decimal(addition.amount_credits)
        movement = Movement(Action.CREDITS_ADD, EntryKind.TOP_UP, amount, addition.external_id)
        return await self._move(actor, company_id, movement)

    async def adjust(self, actor: Actor, company_id: UUID, adjustment: CreditsAdjust) -> LedgerEntry:
        """Correct an entry by another one, up or down. The same external id again returns what it did the first time.

        Raises:
            CompanyNotFound: There is no such company.
            LedgerEntryNotFound: The company has no entry at the position to correct.
            ExternalIdConflict: The external id was used for another movement.
            BalanceOutOfRange: More would be taken than is free, or the balance would be too high.
        """
        movement = Movement(
            Action.CREDITS_ADJUST,
            EntryKind.ADJUSTMENT,
            Decimal(adjustment.amount_credits),
            adjustment.external_id,
            adjustment.reason,
            adjustment.corrects_position,
        )
        return await self._move(actor, company_id, movement)

    async def _move(self, actor: Actor, company_id: UUID, movement: Movement) -> LedgerEntry:
        async with self._transaction() as tx:
            # The lock makes a repetition of this movement wait here, and then find the entry.
            account = await tx[AccountRepository].find_locked(company_id)
            if account is None:
                raise CompanyNotFound
            balance_before = account.balance_credits
            entry = await tx[AccountRepository].find_entry(movement.external_id)
            is_repeated = entry is not None
            if entry is None:
                entry = await _enter(tx, account, movement)
            elif not movement.is_told_by(entry, company_id):
                raise ExternalIdConflict
            after = {
                "balance_credits": balance_before if is_repeated else entry.balance_after_credits,
                "amount_credits": movement.amount_credits,
                "is_repeated": is_repeated,
                "corrects_position": movement.corrects_position,
                "reason": movement.reason,
            }
            await record_action(
                tx,
                actor,
                movement.action,
                targets={"company_id": company_id, "external_id": movement.external_id},
                before={"balance_credits": balance_before},
                after=after,
            )
        return _entry(entry)

    async def balance(self, viewer: Viewer) -> Balance:
        """Return the balance of the viewer's company."""
        async with self._transaction() as tx:
            account = await tx[AccountRepository].get(viewer.company_id)
        available = account.balance_credits - account.held_credits
        return Balance(account.balance_credits, account.held_credits, available)

    async def list_entries(
        self, viewer: Viewer, *, cursor: str | None, limit: int, wanted: LedgerFilter = ALL_ENTRIES
    ) -> Page[LedgerEntry]:
        """Return the wanted entries of the viewer's company, newest first.

        Raises:
            InvalidRequest: The cursor is not one that this list gave.
            TookTooLong: It took too long.
        """
        async with self._reading() as tx:
            return await _page(tx, viewer.company_id, cursor, limit, wanted)

    async def list_entries_of(
        self, company_id: UUID, *, cursor: str | None, limit: int, wanted: LedgerFilter = ALL_ENTRIES
    ) -> Page[LedgerEntry]:
        """Return the wanted entries of any company, newest first, for operators.

        Raises:
            CompanyNotFound: There is no such company.
            InvalidRequest: The cursor is not one that this list gave.
        """
        async with self._transaction() as tx:
            if not await tx[AccountRepository].is_open(company_id):
                raise CompanyNotFound
            return await _page(tx, company_id, cursor, limit, wanted)

    async def export(
        self,
        viewer: Viewer,
        form: ExportFormat,
        wanted: LedgerFilter = ALL_ENTRIES,
        dialect: CsvDialect = CsvDialect.STANDARD,
    ) -> AsyncGenerator[bytes, None]:
        """Return the wanted entries of the viewer's company as text, newest first, piece by piece.

        Raises:
            RateLimited: The viewer has an export under way.
        """
        # Here, since nothing can be refused any more once the pieces are being sent.
        pieces = self._pieces(viewer.company_id, form, wanted, dialect)
        return await self._exporting.holding(viewer.user_id, pieces)

    async def _pieces(
        self, company_id: UUID, form: ExportFormat, wanted: LedgerFilter, dialect: CsvDialect
    ) -> AsyncGenerator[bytes, None]:
        """Each piece has a transaction of its own: none stays open while a slow reader takes it in."""
        yield export_head(form, dialect)
        before = None
        while rows := await self._batch(company_id, wanted, before):
            yield export_entries([_entry(row) for row in rows], form, dialect)
            before = rows[-1].position

    async def _batch(self, company_id: UUID, wanted: LedgerFilter, before: int | None) -> list[LedgerEntryRow]:
        try:
            async with self._reading() as tx:
                return await tx[AccountRepository].list_entries(
                    company_id, before=before, limit=_EXPORT_BATCH, wanted=wanted
                )
        except Exception as error:
            # The status was sent long ago: all that can be done is to cut the answer, which a client notices.
            log.exception("ledger_export_failed", exc_info=error)
            raise


async def _page(
    tx: Transaction, company_id: UUID, cursor: str | None, limit: int, wanted: LedgerFilter = ALL_ENTRIES
) -> Page[LedgerEntry]:
    if cursor is not None and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):  # noqa: PLR2004 - digits of a bigint
        raise InvalidRequest("cursor: not one of this list.", param="cursor")
    before = int(cursor) if cursor else None
    rows = await tx[AccountRepository].list_entries(company_id, before=before, limit=limit + 1, wanted=wanted)
    more = len(rows) > limit
    return Page([_entry(row) for row in rows[:limit]], str(rows[limit - 1].position) if more else None)


async def _enter(tx: Transaction, account: AccountRow, movement: Movement) -> LedgerEntryRow:
    """Move the balance of a locked account, and write its ledger entry."""
    corrected = movement.corrects_position
    if corrected is not None and not await tx[AccountRepository].has_entry(account.company_id, corrected):
        raise LedgerEntryNotFound
    _require_in_range(account, movement.amount_credits)
    try:
        return await tx[AccountRepository].move(
            account.company_id,
            movement.amount_credits,
            movement.kind,
            external_id=movement.external_id,
            corrects_position=corrected,
        )
    except ExternalIdTaken:
        raise ExternalIdConflict from None


def _require_in_range(account: AccountRow, amount_credits: Decimal) -> None:
    balance_after = account.balance_credits + amount_credits
    if not account.held_credits <= balance_after <= MAX_BALANCE_CREDITS:
        raise BalanceOutOfRange


def _entry(row: LedgerEntryRow) -> LedgerEntry:
    return LedgerEntry(
        position=row.position,
        kind=EntryKind(row.kind).value,
        amount_credits=row.amount_credits,
        balance_after_credits=row.balance_after_credits,
        message_id=row.message_id,
        external_id=row.external_id,
        corrects_position=row.corrects_position,
        supplements_position=row.supplements_position,
        created_at=row.created_at,
    )
