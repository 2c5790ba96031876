"""SQL of the audit log."""

from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import ColumnElement, select, tuple_

from b2b_chat.kit.database import Session
from b2b_chat.product.audit.models import AuditRow
from b2b_chat.product.audit.schemas import AuditFilter


class AuditRepository:
    """The audit log, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, row: AuditRow) -> None:
        """Add a row."""
        self._session.add(row)
        await self._session.flush()

    async def list_rows(self, wanted: AuditFilter, *, before: UUID | None, limit: int) -> list[AuditRow]:
        """Return the matching rows below a row, newest first. Rows of one transaction have one time and go by id."""
        query = select(AuditRow).where(*_conditions(wanted))
        if before is not None:
            place = await self._session.get(AuditRow, before)
            if place is None:
                return []
            query = query.where(tuple_(AuditRow.at, AuditRow.id) < tuple_(place.at, place.id))
        return list(await self._session.scalars(query.order_by(AuditRow.at.desc(), AuditRow.id.desc()).limit(limit)))


def _conditions(wanted: AuditFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.company_id is not None:
        yield AuditRow.company_id == wanted.company_id
    if wanted.actor is not None:
        yield AuditRow.actor_id == wanted.actor
    if wanted.user_id is not None:
        yield AuditRow.actor_user_id == wanted.user_id
    if wanted.action is not None:
        yield AuditRow.action == wanted.action
    if wanted.target is not None:
        yield AuditRow.target_ids.contains([wanted.target])
    if wanted.since is not None:
        yield AuditRow.at >= wanted.since
    if wanted.until is not None:
        yield AuditRow.at < wanted.until
