"""SQL of the audit log."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import Select, insert, select, tuple_

from b2b_chat.kit.database import Session, new_id
from b2b_chat.kit.request_id import current_request_id
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import Actor
from b2b_chat.product.audit.models import AuditRow

Outcome = Literal["ok", "refused"]


class AuditFilter(Struct, frozen=True):
    """Which rows are wanted; a None matches all."""

    company_id: UUID | None = None
    actor_id: str | None = None
    """A user, API key, operator or `user@host`; a user's id also finds what was done with the user's keys."""
    action: Action | None = None
    target_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""


class Place(Struct, frozen=True):
    """Where a row stands in the log's order: by time, and rows of one transaction by id."""

    at: datetime
    id: UUID


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
        outcome: Outcome = "ok",
        reason: str | None = None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a row about an action to the transaction that the action is done in.

        Args:
            actor: Who acted.
            action: What was done.
            targets: To what, as `{"user_id": …}`. A `company_id` among them makes it that company's row, else it is
                the actor's company's.
            outcome: Whether it was done, or refused for lack of rights.
            reason: The refusal's code.
            before: What mattered of the target before, where the action changed it: ids, roles, amounts, times.
            after: The same afterwards.
        """
        named = {name: str(value) for name, value in targets.items()}
        company_id = UUID(named["company_id"]) if "company_id" in named else actor.company_id
        await self._session.execute(
            insert(AuditRow).values(
                id=new_id(),
                company_id=company_id,
                actor_kind=actor.kind,
                actor_id=actor.id,
                actor_user_id=actor.user_id,
                action=action,
                outcome=outcome,
                reason=reason,
                request_id=current_request_id.get(),
                targets=named,
                target_ids=list(named.values()),
                before=_as_json(before),
                after=_as_json(after),
            )
        )

    async def list_rows(self, wanted: AuditFilter, *, before: Place | None, limit: int) -> list[AuditRow]:
        """Rows that match, newest first, from below a place."""
        query = _matching(select(AuditRow), wanted)
        if before is not None:
            query = query.where(tuple_(AuditRow.at, AuditRow.id) < tuple_(before.at, before.id))
        return list(await self._session.scalars(query.order_by(AuditRow.at.desc(), AuditRow.id.desc()).limit(limit)))


def _matching(query: Select[AuditRow], wanted: AuditFilter) -> Select[AuditRow]:
    columns = (
        (wanted.company_id, AuditRow.company_id.__eq__),
        (wanted.actor_id, _is_by),
        (wanted.action, AuditRow.action.__eq__),
        (wanted.target_id, lambda target_id: AuditRow.target_ids.contains([target_id])),
        (wanted.since, AuditRow.at.__ge__),
        (wanted.until, AuditRow.at.__lt__),
    )
    return query.where(*(condition(value) for value, condition in columns if value is not None))


def _as_json(state: Mapping[str, Any] | None) -> Any:
    return None if state is None else msgspec.to_builtins(dict(state))
