"""SQL of API keys, as they are made and revoked; what every call with a key asks is in `credentials`."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select, update

from b2b_chat.kit.database import Session
from b2b_chat.product.identity.models import ApiKeyRow


class ApiKeyRepository:
    """API keys of companies and operators, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, row: ApiKeyRow) -> ApiKeyRow:
        """Add a key."""
        self._session.add(row)
        await self._session.flush()
        await self._session.refresh(row)
        return row

    async def list_keys(self, company_id: UUID, *, before: UUID | None, limit: int) -> list[ApiKeyRow]:
        """A company's keys, newest first, below an id."""
        query = select(ApiKeyRow).where(ApiKeyRow.company_id == company_id)
        if before is not None:
            query = query.where(ApiKeyRow.id < before)
        return list(await self._session.scalars(query.order_by(ApiKeyRow.id.desc()).limit(limit)))

    async def count_live(self, company_id: UUID, user_id: UUID, now: datetime) -> int:
        """How many keys of a user in a company are neither revoked nor expired."""
        query = (
            select(func.count())
            .select_from(ApiKeyRow)
            .where(ApiKeyRow.company_id == company_id, ApiKeyRow.user_id == user_id, ApiKeyRow.revoked_at.is_(None))
            .where(or_(ApiKeyRow.expires_at.is_(None), ApiKeyRow.expires_at > now))
        )
        return await self._session.scalar(query) or 0

    async def find_locked(self, company_id: UUID, api_key_id: UUID) -> ApiKeyRow | None:
        """A company's key, locked until the transaction ends."""
        query = select(ApiKeyRow).where(ApiKeyRow.company_id == company_id, ApiKeyRow.id == api_key_id)
        return await self._session.scalar(query.with_for_update())

    async def list_operators_keys(
        self, user_id: UUID | None, *, before: UUID | None, limit: int | None
    ) -> list[ApiKeyRow]:
        """An operator's keys, or those of all operators, newest first, below an id."""
        query = select(ApiKeyRow).where(ApiKeyRow.company_id.is_(None))
        if user_id is not None:
            query = query.where(ApiKeyRow.user_id == user_id)
        if before is not None:
            query = query.where(ApiKeyRow.id < before)
        return list(await self._session.scalars(query.order_by(ApiKeyRow.id.desc()).limit(limit)))

    async def find_operators_key_locked(self, api_key_id: UUID) -> ApiKeyRow | None:
        """An operator's key, locked until the transaction ends."""
        query = select(ApiKeyRow).where(ApiKeyRow.company_id.is_(None), ApiKeyRow.id == api_key_id)
        return await self._session.scalar(query.with_for_update())

    async def find_operators_key_ids(self, prefix: str) -> list[UUID]:
        """The ids of the operators' keys that are shown as beginning so; two may, though it is not likely."""
        query = select(ApiKeyRow.id).where(ApiKeyRow.company_id.is_(None), ApiKeyRow.prefix == prefix)
        return list(await self._session.scalars(query))

    async def revoke_all_of(self, company_id: UUID | None, user_id: UUID, now: datetime) -> None:
        """Revoke a user's keys of a company; without a company, the user's keys as an operator."""
        await self._session.execute(
            update(ApiKeyRow)
            .where(ApiKeyRow.user_id == user_id, ApiKeyRow.revoked_at.is_(None))
            .where(ApiKeyRow.company_id.is_not_distinct_from(company_id))
            .values(revoked_at=now)
        )
