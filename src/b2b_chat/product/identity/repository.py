"""SQL of users and API keys."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import select

from b2b_chat.kit.database import Session, new_id
from b2b_chat.product.identity.models import ApiKeyRow, UserRow

_FIND_KEY_OWNER: Final = """
    SELECT keys.company_id, keys.user_id, keys.scopes
    FROM api_keys AS keys
    JOIN memberships USING (company_id, user_id)
    WHERE keys.key_hash = $1 AND keys.revoked_at IS NULL AND (keys.expires_at IS NULL OR keys.expires_at > now())
"""


class UserRepository:
    """Users and their keys, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, email: str) -> UUID:
        """Add a user and return the id."""
        user_id = new_id()
        self._session.add(UserRow(id=user_id, email=email))
        await self._session.flush()
        return user_id

    async def find_id_by_email(self, email: str) -> UUID | None:
        """The id of the user with this lower-case address."""
        return await self._session.scalar(select(UserRow.id).where(UserRow.email == email))

    async def add_api_key(self, row: ApiKeyRow) -> None:
        """Add a key."""
        self._session.add(row)
        await self._session.flush()


async def find_key_owner(connection: Any, key_hash: bytes) -> tuple[UUID, UUID, frozenset[str]] | None:
    """Company, user and scopes of the live key with this hash, on a plain connection: every API call asks this."""
    row = await connection.fetchrow(_FIND_KEY_OWNER, key_hash)
    return None if row is None else (row["company_id"], row["user_id"], frozenset(row["scopes"]))
