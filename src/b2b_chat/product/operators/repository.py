"""SQL of operators, and of users as operators search for them."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import DateTime, Select, String, Uuid, column, delete, select, table
from sqlalchemy.dialects.postgresql import insert

from b2b_chat.kit.database import Session
from b2b_chat.kit.search import pattern_of
from b2b_chat.product.operators.models import OperatorApprovalRow, OperatorRow

# Columns of other domains' tables that are read here.
_USERS: Final = table(
    "users",
    column("id", Uuid),
    column("email", String),
    column("created_at", DateTime(timezone=True)),
    column("blocked_at", DateTime(timezone=True)),
)
_MEMBERSHIPS: Final = table("memberships", column("company_id", Uuid), column("user_id", Uuid))


class UserRecord(NamedTuple):
    """A user, and whether the user is an operator."""

    id: UUID
    email: str
    created_at: datetime
    blocked_at: datetime | None
    is_operator: bool


class OperatorRepository:
    """Operators, and the users that they search for, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, user_id: UUID) -> bool:
        """Make a user an operator; return False, and change nothing, for an operator."""
        added = insert(OperatorRow).values(user_id=user_id).on_conflict_do_nothing().returning(OperatorRow.user_id)
        return await self._session.scalar(added) is not None

    async def remove(self, user_id: UUID) -> bool:
        """Remove a user from the operators; return False where the user was not one."""
        removed = delete(OperatorRow).where(OperatorRow.user_id == user_id).returning(OperatorRow.user_id)
        return await self._session.scalar(removed) is not None

    async def is_operator(self, user_id: UUID) -> bool:
        """Return whether a user is an operator; if so, the user stays one until the transaction ends."""
        query = select(OperatorRow.user_id).where(OperatorRow.user_id == user_id).with_for_update(read=True)
        return await self._session.scalar(query) is not None

    async def approve(self, action: str, target_id: UUID, user_id: UUID, now: datetime) -> None:
        """Record an operator's wish; a repeated one counts from now."""
        wish = insert(OperatorApprovalRow).values(action=action, target_id=target_id, user_id=user_id, approved_at=now)
        again = wish.on_conflict_do_update(
            index_elements=[OperatorApprovalRow.action, OperatorApprovalRow.target_id, OperatorApprovalRow.user_id],
            set_={"approved_at": now},
        )
        await self._session.execute(again)

    async def list_approving(self, action: str, target_id: UUID, *, since: datetime) -> set[UUID]:
        """Return the operators who recently requested an action, without blocked and former ones."""
        query = (
            select(OperatorApprovalRow.user_id)
            .join(OperatorRow, OperatorRow.user_id == OperatorApprovalRow.user_id)
            .join(_USERS, _USERS.c.id == OperatorApprovalRow.user_id)
            .where(OperatorApprovalRow.action == action, OperatorApprovalRow.target_id == target_id)
            .where(OperatorApprovalRow.approved_at > since, _USERS.c.blocked_at.is_(None))
        )
        return set(await self._session.scalars(query))

    async def forget_approvals(self, action: str, target_id: UUID) -> None:
        """Delete the wishes for a completed action."""
        done = delete(OperatorApprovalRow).where(
            OperatorApprovalRow.action == action, OperatorApprovalRow.target_id == target_id
        )
        await self._session.execute(done)

    async def find_user(self, user_id: UUID) -> UserRecord | None:
        """A user."""
        row = (await self._session.execute(_users().where(_USERS.c.id == user_id))).one_or_none()
        return None if row is None else UserRecord(*row)

    async def list_users(
        self, *, email_part: str | None, company_id: UUID | None, before: UUID | None, limit: int
    ) -> list[UserRecord]:
        """Users whose address contains a text, whatever its case, or who belong to a company, newest first."""
        query = _users()
        if email_part is not None:
            query = query.where(_USERS.c.email.regexp_match(pattern_of(email_part)))
        if company_id is not None:
            members = select(_MEMBERSHIPS.c.user_id).where(_MEMBERSHIPS.c.company_id == company_id)
            query = query.where(_USERS.c.id.in_(members))
        if before is not None:
            query = query.where(_USERS.c.id < before)
        rows = await self._session.execute(query.order_by(_USERS.c.id.desc()).limit(limit))
        return [UserRecord(*row) for row in rows]


def _users() -> Select[UUID, str, datetime, datetime | None, bool]:
    is_operator = OperatorRow.user_id.is_not(None)
    users = select(_USERS.c.id, _USERS.c.email, _USERS.c.created_at, _USERS.c.blocked_at, is_operator)
    return users.outerjoin(OperatorRow, OperatorRow.user_id == _USERS.c.id)
