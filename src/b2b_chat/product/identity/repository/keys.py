"""SQL of making and revoking API keys; the SQL of every call is in `credentials`."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select, update

from b2b_chat.kit.database import Session
from b2b_chat.product.identity.key_form import SHOWN_CHARACTERS, hash_api_key, new_api_key
from b2b_chat.product.identity.models import ApiKeyRow


class ApiKeyRepository:
    """API keys of companies and operators, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def issue(
        self,
        *,
        company_id: UUID | None,
        user_id: UUID,
        name: str,
        scopes: Collection[str] = (),
        expires_at: datetime | None = None,
        made_in_shell: bool = False,
    ) -> tuple[ApiKeyRow, str]:
        """Make a key of a company, or of an operator, and return it with its secret text: the one maker of keys."""
        key = new_api_key()
        row = ApiKeyRow(
            company_id=company_id,
            user_id=user_id,
            name=name,
            prefix=key[:SHOWN_CHARACTERS],
            key_hash=hash_api_key(key),
            scopes=sorted(set(scopes)),
            made_in_shell=made_in_shell,
            expires_at=expires_at,
        )
        self._session.add(row)
        await self._session.flush()
        await self._session.refresh(row)
        return row, key

    async def list_keys(self, company_id: UUID, *, before: UUID | None, limit: int) -> list[ApiKeyRow]:
        """Return a company's keys, newest first, below an id."""
        query = select(ApiKeyRow).where(ApiKeyRow.company_id == company_id)
        if before is not None:
            query = query.where(ApiKeyRow.id < before)
        return list(await self._session.scalars(query.order_by(ApiKeyRow.id.desc()).limit(limit)))

    async def count_live(self, company_id: UUID, user_id: UUID, now: datetime) -> int:
        """Return how many keys of a user in a company are neither revoked nor expired."""
        query = (
            select(func.count())
            .select_from(ApiKeyRow)
            .where(ApiKeyRow.company_id == company_id, ApiKeyRow.user_id == user_id, ApiKeyRow.revoked_at.is_(None))
            .where(or_(ApiKeyRow.expires_at.is_(None), ApiKeyRow.expires_at > now))
        )
        return await self._session.scalar(query) or 0

    async def find_locked(self, company_id: UUID, api_key_id: UUID) -> ApiKeyRow | None:
        """Return a company's key, locked until the transaction ends."""
        query = select(ApiKeyRow).where(ApiKeyRow.company_id == company_id, ApiKeyRow.id == api_key_id)
        return await self._session.scalar(query.with_for_update())

    async def list_operators_keys(
        self, user_id: UUID | None, *, before: UUID | None, limit: int | None
    ) -> list[ApiKeyRow]:
        """Return an operator's keys, or those of all operators, newest first, below an id."""
        query = select(ApiKeyRow).where(ApiKeyRow.company_id.is_(None))
        if user_id is not None:
            query = query.where(ApiKeyRow.user_id == user_id)
        if before is not None:
            query = query.where(ApiKeyRow.id < before)
        return list(await self._session.scalars(query.order_by(ApiKeyRow.id.desc()).limit(limit)))

    async def find_operators_key_locked(self, api_key_id: UUID) -> ApiKeyRow | None:
        """Return an operator's key, locked until the transaction ends."""
        query = select(ApiKeyRow).where(ApiKeyRow.company_id.is_(None), ApiKeyRow.id == api_key_id)
        return await self._session.scalar(query.with_for_update())

    async def find_operators_key_ids(self, prefix: str) -> list[UUID]:
        """Return the ids of the operators' keys that begin so; rarely there are two."""
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
