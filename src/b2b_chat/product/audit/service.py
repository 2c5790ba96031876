"""The audit log: use cases write it in their own transactions, admins and operators read it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

from b2b_chat.kit.current_request import client_request_id, current_request_id
from b2b_chat.kit.database import new_id
from b2b_chat.kit.exports import CsvDialect, ExportFormat
from b2b_chat.kit.pagination import Page, id_from_cursor
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import Actor
from b2b_chat.product.audit.export import export_head, export_records
from b2b_chat.product.audit.models import AuditRow
from b2b_chat.product.audit.repository import AuditRepository
from b2b_chat.product.audit.schemas import AuditFilter, AuditRecord
from b2b_chat.product.limits.turns import Turns
from b2b_chat.product.transactions import Transaction, TransactionFactory

_BATCH: Final = 500

log = structlog.get_logger(__name__)


async def record_action(
    tx: Transaction,
    actor: Actor,
    action: Action,
    *,
    targets: Mapping[str, UUID | str],
    refusal: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    count: int = 1,
    further_target_ids: Sequence[str] = (),
) -> None:
    """Record an action in the transaction in which it is done.

    Args:
        tx: The use case's transaction.
        actor: Who acted.
        action: What was done.
        targets: To what, as `{"user_id": …}`. A `company_id` among them makes it that company's row; without one, and
            for every refusal, it is the row of the company in which the actor acts.
        refusal: The code of the refusal where the actor lacked the right; None where the action was done.
        before: What mattered of the target before, where the action changed it: ids, roles, amounts, times.
        after: The same afterwards.
        count: How often it was done, where one row stands for many; see `tallies`.
        further_target_ids: Targets by which it can be found, beside those that it names.
    """
    named = {name: str(value) for name, value in targets.items()}
    is_of_target = refusal is None and "company_id" in named
    row = _row(actor, action, UUID(named["company_id"]) if is_of_target else actor.company_id)
    row.outcome, row.reason = ("ok", None) if refusal is None else ("refused", refusal)
    row.targets, row.target_ids = named, [*named.values(), *further_target_ids]
    row.count = count
    row.before, row.after = _as_json(before), _as_json(after)
    await tx[AuditRepository].add(row)


class Audit:
    """The audit log, newest first."""

    def __init__(self, transaction: TransactionFactory, reading: TransactionFactory) -> None:
        self._transaction = transaction
        self._reading = reading
        self._exporting = Turns()

    async def search(self, wanted: AuditFilter, *, cursor: str | None, limit: int) -> Page[AuditRecord]:
        """The records that match.

        Raises:
            TookTooLong: The search took too long.
        """
        async with self._reading() as tx:
            rows = await tx[AuditRepository].list_rows(wanted, before=id_from_cursor(cursor), limit=limit + 1)
        records = [_record(row) for row in rows[:limit]]
        return Page(records, str(records[-1].id) if len(rows) > limit else None)

    async def export(
        self, actor: Actor, wanted: AuditFilter, form: ExportFormat, dialect: CsvDialect = CsvDialect.STANDARD
    ) -> AsyncGenerator[bytes, None]:
        """The records that match as text, piece by piece, however many there are. That it was done is recorded.

        Raises:
            RateLimited: The actor has an export under way.
        """
        pieces = self._pieces(wanted, form, dialect)
        if actor.user_id is not None:
            pieces = await self._exporting.holding(actor.user_id, pieces)
        asked = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
        async with self._transaction() as tx:
            targets = {} if wanted.company_id is None else {"company_id": wanted.company_id}
            await record_action(tx, actor, Action.AUDIT_EXPORT, targets=targets, after={"wanted": asked})
        return pieces

    async def _pieces(
        self, wanted: AuditFilter, form: ExportFormat, dialect: CsvDialect
    ) -> AsyncGenerator[bytes, None]:
        """Each piece has a transaction of its own: none stays open while a slow reader takes it in."""
        yield export_head(form, dialect)
        before = None
        while rows := await self._batch(wanted, before):
            yield export_records([_record(row) for row in rows], form, dialect)
            before = rows[-1].id

    async def _batch(self, wanted: AuditFilter, before: UUID | None) -> list[AuditRow]:
        try:
            async with self._reading() as tx:
                return await tx[AuditRepository].list_rows(wanted, before=before, limit=_BATCH)
        except Exception as error:
            # The status was sent long ago: all that can be done is to cut the answer, which a client notices.
            log.exception("audit_export_failed", exc_info=error)
            raise


def _row(actor: Actor, action: Action, company_id: UUID | None) -> AuditRow:
    """Return a row that names who acted, in which request, and whose row it is."""
    return AuditRow(
        id=new_id(),
        company_id=company_id,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_user_id=actor.user_id,
        action=action,
        request_id=current_request_id.get(),
        client_request_id=client_request_id.get(),
    )


def _record(row: AuditRow) -> AuditRecord:
    # The columns are constrained to these values by the database; convert checks and types them.
    fields = {name: getattr(row, name) for name in AuditRecord.__struct_fields__ if name != "actor"}
    actor = {"kind": row.actor_kind, "id": row.actor_id, "user_id": row.actor_user_id}
    return msgspec.convert(fields | {"actor": actor}, AuditRecord)


def _as_json(state: Mapping[str, Any] | None) -> Any:
    return None if state is None else msgspec.to_builtins(dict(state))
