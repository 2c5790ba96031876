"""SQL of users."""

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import DateTime, String, Uuid, column, exists, or_, select, table
from sqlalchemy.dialects.postgresql import insert

from b2b_chat.kit.database import Session, new_id
from b2b_chat.product.identity.models import UserRow

# Columns of other domains' tables that are read here.
_MEMBERSHIPS: Final = table("memberships", column("user_id", Uuid))
_OPERATORS: Final = table("operators", column("user_id", Uuid))
_INVITES: Final = table(
    "invites", column("email", String), column("state", String), column("expires_at", DateTime(timezone=True))
)


class LoginAccount(NamedTuple):
    """A user, and their reasons to sign in."""

    user_id: UUID
    has_joined: bool
    """The user belongs to a company, or is an operator."""
    is_invited: bool
    """The user can accept an invite now."""


class UserRepository:
    """Users, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, user_id: UUID) -> UserRow:
        """Return a user who is known to exist."""
        return (await self._session.scalars(select(UserRow).where(UserRow.id == user_id))).one()

    async def list_addresses(self, user_ids: Collection[UUID]) -> dict[UUID, str]:
        """Return the addresses of some users."""
        rows = await self._session.execute(select(UserRow.id, UserRow.email).where(UserRow.id.in_(user_ids)))
        return {row.id: row.email for row in rows}

    async def find_locked(self, user_id: UUID) -> UserRow | None:
        """Return a user, locked until the transaction ends."""
        query = select(UserRow).where(UserRow.id == user_id).with_for_update(key_share=True)
        return await self._session.scalar(query)

    async def find_id_by_email(self, email: str) -> UUID | None:
        """The id of the user with this lower-case address."""
        return await self._session.scalar(select(UserRow.id).where(UserRow.email == email))

    async def find_login_account(self, email: str, now: datetime) -> LoginAccount | None:
        """Return the user with this lower-case address and their reasons to sign in, unless blocked."""
        query = select(
            UserRow.id,
            or_(
                exists().where(_MEMBERSHIPS.c.user_id == UserRow.id),
                exists().where(_OPERATORS.c.user_id == UserRow.id),
            ),
            exists().where(_INVITES.c.email == email, _INVITES.c.state == "pending", _INVITES.c.expires_at > now),
        ).where(UserRow.email == email, UserRow.blocked_at.is_(None))
        row = (await self._session.execute(query)).one_or_none()
        return None if row is None else LoginAccount(*row)

    async def lock_unblocked(self, user_id: UUID) -> bool:
        """Return whether a user is not blocked; if so, the user stays so until the transaction ends."""
        query = select(UserRow.id).where(UserRow.id == user_id, UserRow.blocked_at.is_(None))
        return await self._session.scalar(query.with_for_update(read=True)) is not None

    async def get_or_add(self, email: str) -> UUID:
        """Return the id of the user with this lower-case address, added if unknown, also by concurrent callers."""
        await self._session.execute(insert(UserRow).values(id=new_id(), email=email).on_conflict_do_nothing())
        return (await self._session.scalars(select(UserRow.id).where(UserRow.email == email))).one()
