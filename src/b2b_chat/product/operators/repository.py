"""SQL of operators, and of users as operators look for them."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects.postgresql import insert

from b2b_chat.kit.database import Session
from b2b_chat.kit.search import contains
from b2b_chat.product.companies.models import MembershipRow
from b2b_chat.product.identity.models import UserRow
from b2b_chat.product.operators.models import OperatorRow


class UserRecord(NamedTuple):
    """A user, and since when he is an operator, if he is."""

    user: UserRow
    operator: OperatorRow | None


class OperatorRepository:
    """Operators, and whom they look for, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, user_id: UUID) -> bool:
        """Make a user an operator; False, and nothing changed, where the user is one already."""
        added = insert(OperatorRow).values(user_id=user_id).on_conflict_do_nothing().returning(OperatorRow.user_id)
        return await self._session.scalar(added) is not None

    async def remove(self, user_id: UUID) -> bool:
        """Make a user an operator no longer; False where the user was none."""
        removed = delete(OperatorRow).where(OperatorRow.user_id == user_id).returning(OperatorRow.user_id)
        return await self._session.scalar(removed) is not None

    async def find_user(self, user_id: UUID) -> UserRecord | None:
        """A user."""
        row = (await self._session.execute(_users().where(UserRow.id == user_id))).one_or_none()
        return None if row is None else UserRecord(*row)

    async def list_users(
        self, *, email_part: str | None, company_id: UUID | None, before: UUID | None, limit: int
    ) -> list[UserRecord]:
        """Users whose address contains a text, whatever its case, or who belong to a company, newest first."""
        query = _users()
        if email_part is not None:
            query = query.where(contains(UserRow.email, email_part))
        if company_id is not None:
            members = select(MembershipRow.user_id).where(MembershipRow.company_id == company_id)
            query = query.where(UserRow.id.in_(members))
        if before is not None:
            query = query.where(UserRow.id < before)
        rows = await self._session.execute(query.order_by(UserRow.id.desc()).limit(limit))
        return [UserRecord(*row) for row in rows]


def _users() -> Select[UserRow, OperatorRow | None]:
    return select(UserRow, OperatorRow).outerjoin(OperatorRow, OperatorRow.user_id == UserRow.id)
