"""SQL of the audit log."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, insert, select, tuple_

from b2b_chat.kit.database import Session, new_id
from b2b_chat.kit.request_id import current_request_id
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import Actor
from b2b_chat.product.audit.models import AuditRow
from b2b_chat.product.audit.schemas import AuditFilter


class AuditRepository:
    """The audit log, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def record(
        self,
        actor: Actor,
        action: Action,
        *,
        targets: Mapping[str, UUID | str],
        refusal: str | None = None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a row about an action to the transaction that the action is done in.

        Args:
            actor: Who acted.
            action: What was done.
            targets: To what, as `{"user_id": …}`. A `company_id` among them makes it that company's row; without one,
                and for whatever was refused, it is the row of the company that the actor acts in.
            refusal: The code of the refusal where it was attempted without the right to; None where it was done.
            before: What mattered of the target before, where the action changed it: ids, roles, amounts, times.
            after: The same afterwards.
        """
        named = {name: str(value) for name, value in targets.items()}
        is_of_target = refusal is None and "company_id" in named
        company_id = UUID(named["company_id"]) if is_of_target else actor.company_id
        await self._session.execute(
            insert(AuditRow).values(
                id=new_id(),
                company_id=company_id,
                actor_kind=actor.kind,
                actor_id=actor.id,
                actor_user_id=actor.user_id,
                action=action,
                outcome="ok" if refusal is None else "refused",
                reason=refusal,
                request_id=current_request_id.get(),
                targets=named,
                target_ids=list(named.values()),
                before=_as_json(before),
                after=_as_json(after),
            )
        )

    async def list_rows(self, wanted: AuditFilter, *, before: UUID | None, limit: int) -> list[AuditRow]:
        """Rows that match, newest first, from below a row; rows of one transaction have one time and go by their id."""
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


def _as_json(state: Mapping[str, Any] | None) -> Any:
    return None if state is None else msgspec.to_builtins(dict(state))
