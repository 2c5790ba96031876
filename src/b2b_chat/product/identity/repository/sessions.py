"""SQL of making and ending sessions; the SQL of every call is in `credentials`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, String, Uuid, column, delete, select, table, update

from b2b_chat.kit.database import Session
from b2b_chat.product.identity.models import SessionRow

# Columns of another domain's tables that are read here.
_COMPANIES: Final = table(
    "companies", column("id", Uuid), column("name", String), column("blocked_at", DateTime(timezone=True))
)
_MEMBERSHIPS: Final = table(
    "memberships",
    column("company_id", Uuid),
    column("user_id", Uuid),
    column("role", String),
    column("created_at", DateTime(timezone=True)),
    column("blocked_at", DateTime(timezone=True)),
)


class UsersCompany(NamedTuple):
    """A company that a user belongs to."""

    id: UUID
    name: str
    role: str
    is_company_blocked: bool
    is_member_blocked: bool


class SessionRepository:
    """Sessions, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, row: SessionRow) -> None:
        """Add a session."""
        self._session.add(row)
        await self._session.flush()

    async def list_live(self, user_id: UUID, *, now: datetime, idle_since: datetime) -> Sequence[SessionRow]:
        """Return the live sessions of a user, newest first."""
        query = (
            select(SessionRow)
            .where(SessionRow.user_id == user_id, SessionRow.revoked_at.is_(None))
            .where(SessionRow.expires_at > now, SessionRow.last_seen_at > idle_since)
            .order_by(SessionRow.id.desc())
        )
        return (await self._session.scalars(query)).all()

    async def began_since(self, session_id: UUID, since: datetime) -> bool:
        """Return whether a session began after this moment."""
        query = select(SessionRow.id).where(SessionRow.id == session_id, SessionRow.created_at > since)
        return await self._session.scalar(query) is not None

    async def revoke(self, user_id: UUID, session_id: UUID, now: datetime) -> SessionRow | None:
        """End a user's session and return it; None if there is no such session."""
        return await self._end_one(SessionRow.id == session_id, SessionRow.user_id == user_id, now=now)

    async def revoke_by_token(self, token_hashes: Sequence[bytes], now: datetime) -> SessionRow | None:
        """End the session with this token, if there is one, and return it."""
        return await self._end_one(SessionRow.token_hash.in_(token_hashes), now=now)

    async def _end_one(self, *conditions: ColumnElement[bool], now: datetime) -> SessionRow | None:
        ended = update(SessionRow).where(*conditions, SessionRow.revoked_at.is_(None)).values(revoked_at=now)
        return await self._session.scalar(ended.returning(SessionRow))

    async def revoke_all(self, user_id: UUID, now: datetime) -> None:
        """End every session of a user."""
        await self._session.execute(
            update(SessionRow)
            .where(SessionRow.user_id == user_id, SessionRow.revoked_at.is_(None))
            .values(revoked_at=now)
        )

    async def note_proof(self, session_id: UUID, now: datetime) -> None:
        """Take down that a session has proved its second factor."""
        await self._session.execute(update(SessionRow).where(SessionRow.id == session_id).values(proved_at=now))

    async def choose_company(self, session_id: UUID, company_id: UUID) -> None:
        """Let a session act in a company."""
        await self._session.execute(update(SessionRow).where(SessionRow.id == session_id).values(company_id=company_id))

    async def list_companies(self, user_id: UUID) -> Sequence[UsersCompany]:
        """Return the companies that a user belongs to, the latest joined first."""
        query = (
            select(
                _COMPANIES.c.id,
                _COMPANIES.c.name,
                _MEMBERSHIPS.c.role,
                _COMPANIES.c.blocked_at.is_not(None),
                _MEMBERSHIPS.c.blocked_at.is_not(None),
            )
            .join(_MEMBERSHIPS, _MEMBERSHIPS.c.company_id == _COMPANIES.c.id)
            .where(_MEMBERSHIPS.c.user_id == user_id)
            .order_by(_MEMBERSHIPS.c.created_at.desc(), _COMPANIES.c.id.desc())
        )
        return [UsersCompany(*row) for row in await self._session.execute(query)]

    async def forget(self, *, expired_before: datetime) -> None:
        """Delete sessions that ended long ago."""
        await self._session.execute(delete(SessionRow).where(SessionRow.expires_at < expired_before))
