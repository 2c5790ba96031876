"""SQL of second factors."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import Uuid, column, delete, select, table
from sqlalchemy.dialects.postgresql import insert

from b2b_chat.kit.database import Session
from b2b_chat.product.second_factor.models import SecondFactorRow

# Columns of other domains' tables that are read here.
_OPERATORS: Final = table("operators", column("user_id", Uuid))
_MEMBERSHIPS: Final = table("memberships", column("company_id", Uuid), column("user_id", Uuid))


class SecondFactorRepository:
    """Second factors, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, user_id: UUID) -> SecondFactorRow | None:
        """A person's second factor."""
        return await self._session.get(SecondFactorRow, user_id)

    async def find_locked(self, user_id: UUID) -> SecondFactorRow | None:
        """The same, locked until the transaction ends: of two that enter one code, one comes first."""
        query = select(SecondFactorRow).where(SecondFactorRow.user_id == user_id).with_for_update()
        return await self._session.scalar(query)

    async def get_or_add_locked(self, user_id: UUID, sealed_under: str) -> SecondFactorRow:
        """The same, added if need be, with nothing that counts."""
        added = insert(SecondFactorRow).values(user_id=user_id, sealed_under=sealed_under).on_conflict_do_nothing()
        await self._session.execute(added)
        row = await self.find_locked(user_id)
        if row is None:
            raise LookupError(user_id)
        return row

    async def remove(self, user_id: UUID) -> bool:
        """Delete a person's second factor; return False where there was none."""
        gone = delete(SecondFactorRow).where(SecondFactorRow.user_id == user_id).returning(SecondFactorRow.user_id)
        return await self._session.scalar(gone) is not None

    async def list_sealed_otherwise(self, sealed_under: str, *, limit: int) -> Sequence[SecondFactorRow]:
        """Some that are encrypted under another key, locked, and not those that another process has locked."""
        query = select(SecondFactorRow).where(SecondFactorRow.sealed_under != sealed_under).limit(limit)
        return (await self._session.scalars(query.with_for_update(skip_locked=True))).all()

    async def is_operator(self, user_id: UUID) -> bool:
        """Return whether a person is an operator."""
        query = select(_OPERATORS.c.user_id).where(_OPERATORS.c.user_id == user_id)
        return await self._session.scalar(query) is not None

    async def is_elsewhere(self, user_id: UUID, company_id: UUID) -> bool:
        """Return whether a person belongs to another company than this one."""
        query = select(_MEMBERSHIPS.c.company_id).where(
            _MEMBERSHIPS.c.user_id == user_id, _MEMBERSHIPS.c.company_id != company_id
        )
        return await self._session.scalar(query.limit(1)) is not None
