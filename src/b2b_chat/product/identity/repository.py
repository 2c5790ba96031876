"""SQL of users, logins, sessions and API keys."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from b2b_chat.kit.database import Session, new_id
from b2b_chat.product.companies.models import CompanyRow, MembershipRow
from b2b_chat.product.identity.models import ChallengeState, LoginChallengeRow, SessionRow, UserRow
from b2b_chat.product.viewer import Credential

_FIND_KEY: Final = """
    SELECT keys.id, keys.company_id, keys.user_id, keys.scopes,
           users.blocked_at IS NOT NULL AS is_user_blocked,
           memberships.role, memberships.blocked_at IS NOT NULL AS is_member_blocked,
           companies.blocked_at IS NOT NULL AS is_company_blocked, operators.user_id IS NOT NULL AS is_operator
    FROM api_keys AS keys
    JOIN users ON users.id = keys.user_id
    LEFT JOIN companies ON companies.id = keys.company_id
    LEFT JOIN memberships ON memberships.company_id = keys.company_id AND memberships.user_id = keys.user_id
    LEFT JOIN operators ON operators.user_id = keys.user_id AND keys.company_id IS NULL
    WHERE keys.key_hash = $1 AND keys.revoked_at IS NULL AND (keys.expires_at IS NULL OR keys.expires_at > now())
          AND (memberships.user_id IS NOT NULL OR operators.user_id IS NOT NULL)
"""
"""A key that is of no company is an operator's; an operator's key that is of a company is like any other of it."""

_FIND_SESSION: Final = """
    SELECT sessions.id, sessions.company_id, sessions.user_id,
           users.blocked_at IS NOT NULL AS is_user_blocked,
           memberships.role, memberships.blocked_at IS NOT NULL AS is_member_blocked,
           companies.blocked_at IS NOT NULL AS is_company_blocked, operators.user_id IS NOT NULL AS is_operator
    FROM sessions
    JOIN users ON users.id = sessions.user_id
    LEFT JOIN companies ON companies.id = sessions.company_id
    LEFT JOIN memberships
        ON memberships.company_id = sessions.company_id AND memberships.user_id = sessions.user_id
    LEFT JOIN operators ON operators.user_id = sessions.user_id
    WHERE sessions.token_hash = ANY($1::bytea[]) AND sessions.revoked_at IS NULL
          AND sessions.expires_at > $2 AND sessions.last_seen_at > $3
"""

_ADD_CHALLENGE: Final = """
    INSERT INTO login_challenges (id, email, language, client_ip, state, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""

_NOTE_USE: Final = """
    UPDATE {table} SET {column} = used.at
    FROM unnest($1::uuid[], $2::timestamptz[]) AS used (id, at)
    WHERE {table}.id = used.id AND ({table}.{column} IS NULL OR {table}.{column} < used.at)
"""
_NOTE_SESSIONS: Final = _NOTE_USE.format(table="sessions", column="last_seen_at")
_NOTE_KEYS: Final = _NOTE_USE.format(table="api_keys", column="last_used_at")


class UserRepository:
    """Users, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, user_id: UUID) -> UserRow:
        """A user who is known to exist."""
        return (await self._session.scalars(select(UserRow).where(UserRow.id == user_id))).one()

    async def list_addresses(self, user_ids: Collection[UUID]) -> dict[UUID, str]:
        """The addresses of some users."""
        rows = await self._session.execute(select(UserRow.id, UserRow.email).where(UserRow.id.in_(user_ids)))
        return {row.id: row.email for row in rows}

    async def find_locked(self, user_id: UUID) -> UserRow | None:
        """A user, whom nobody else changes until the transaction ends."""
        query = select(UserRow).where(UserRow.id == user_id).with_for_update(key_share=True)
        return await self._session.scalar(query)

    async def find_id_by_email(self, email: str) -> UUID | None:
        """The id of the user with this lower-case address."""
        return await self._session.scalar(select(UserRow.id).where(UserRow.email == email))

    async def find_unblocked_id_by_email(self, email: str) -> UUID | None:
        """The id of the user with this lower-case address, unless blocked."""
        query = select(UserRow.id).where(UserRow.email == email, UserRow.blocked_at.is_(None))
        return await self._session.scalar(query)

    async def lock_unblocked(self, user_id: UUID) -> bool:
        """Whether a user is not blocked; if so, nobody blocks him until the transaction ends."""
        query = select(UserRow.id).where(UserRow.id == user_id, UserRow.blocked_at.is_(None))
        return await self._session.scalar(query.with_for_update(read=True)) is not None

    async def get_or_add(self, email: str) -> UUID:
        """The id of the user with this lower-case address, who is added if need be, however many do so at once."""
        await self._session.execute(insert(UserRow).values(id=new_id(), email=email).on_conflict_do_nothing())
        return (await self._session.scalars(select(UserRow.id).where(UserRow.email == email))).one()


class ChallengeRepository:
    """Logins by mail, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def claim_requested(self) -> LoginChallengeRow | None:
        """The oldest request that nobody else is deciding now."""
        query = (
            select(LoginChallengeRow)
            .where(LoginChallengeRow.state == ChallengeState.REQUESTED)
            .order_by(LoginChallengeRow.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        return await self._session.scalar(query)

    async def lock_address(self, email: str) -> None:
        """Keep all others from deciding about this address until the transaction ends."""
        await self._session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(email, 0))))

    async def lock_open(self, email: str, now: datetime) -> Sequence[LoginChallengeRow]:
        """The live challenges of an address, newest first, which nobody else changes until the transaction ends."""
        query = (
            select(LoginChallengeRow)
            .where(LoginChallengeRow.email == email, LoginChallengeRow.expires_at > now)
            .where(LoginChallengeRow.state == ChallengeState.OPEN)
            .order_by(LoginChallengeRow.id.desc())
            .with_for_update()
        )
        return (await self._session.scalars(query)).all()

    async def redeem_token(self, token_hashes: Sequence[bytes], now: datetime) -> UUID | None:
        """Use up the one live challenge of a known user whose link has this token, and return the user's id."""
        used = (
            update(LoginChallengeRow)
            .where(LoginChallengeRow.token_hash.in_(token_hashes), LoginChallengeRow.expires_at > now)
            .where(LoginChallengeRow.state == ChallengeState.OPEN, LoginChallengeRow.user_id.is_not(None))
            .values(state=ChallengeState.REDEEMED)
            .returning(LoginChallengeRow.user_id)
        )
        return await self._session.scalar(used)

    async def forget(self, *, expired_before: datetime) -> None:
        """Delete what has long been over."""
        await self._session.execute(delete(LoginChallengeRow).where(LoginChallengeRow.expires_at < expired_before))


class SessionRepository:
    """Sessions, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, row: SessionRow) -> None:
        """Add a session."""
        self._session.add(row)
        await self._session.flush()

    async def list_live(self, user_id: UUID, *, now: datetime, idle_since: datetime) -> Sequence[SessionRow]:
        """The live sessions of a user, newest first."""
        query = (
            select(SessionRow)
            .where(SessionRow.user_id == user_id, SessionRow.revoked_at.is_(None))
            .where(SessionRow.expires_at > now, SessionRow.last_seen_at > idle_since)
            .order_by(SessionRow.id.desc())
        )
        return (await self._session.scalars(query)).all()

    async def revoke(self, user_id: UUID, session_id: UUID, now: datetime) -> bool:
        """End a session of a user's; False if there is none to end."""
        ended = (
            update(SessionRow)
            .where(SessionRow.id == session_id, SessionRow.user_id == user_id, SessionRow.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(SessionRow.id)
        )
        return await self._session.scalar(ended) is not None

    async def revoke_by_token(self, token_hashes: Sequence[bytes], now: datetime) -> None:
        """End the session with this token, if there is one."""
        await self._session.execute(
            update(SessionRow)
            .where(SessionRow.token_hash.in_(token_hashes), SessionRow.revoked_at.is_(None))
            .values(revoked_at=now)
        )

    async def revoke_all(self, user_id: UUID, now: datetime) -> None:
        """End every session of a user."""
        await self._session.execute(
            update(SessionRow)
            .where(SessionRow.user_id == user_id, SessionRow.revoked_at.is_(None))
            .values(revoked_at=now)
        )

    async def choose_company(self, session_id: UUID, company_id: UUID) -> None:
        """Let a session act in a company."""
        await self._session.execute(update(SessionRow).where(SessionRow.id == session_id).values(company_id=company_id))

    async def list_companies(self, user_id: UUID) -> Sequence["UsersCompany"]:
        """The companies that a user belongs to, the latest joined first."""
        query = (
            select(
                CompanyRow.id,
                CompanyRow.name,
                MembershipRow.role,
                CompanyRow.blocked_at.is_not(None),
                MembershipRow.blocked_at.is_not(None),
            )
            .join(MembershipRow, MembershipRow.company_id == CompanyRow.id)
            .where(MembershipRow.user_id == user_id)
            .order_by(MembershipRow.created_at.desc(), CompanyRow.id.desc())
        )
        return [UsersCompany(*row) for row in await self._session.execute(query)]

    async def forget(self, *, expired_before: datetime) -> None:
        """Delete what has long been over."""
        await self._session.execute(delete(SessionRow).where(SessionRow.expires_at < expired_before))


class UsersCompany(NamedTuple):
    """A company that a user belongs to."""

    id: UUID
    name: str
    role: str
    is_company_blocked: bool
    is_member_blocked: bool


async def add_challenge(
    connection: Any,
    *,
    email: str,
    language: str,
    client_ip: str,
    state: ChallengeState,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Write down a wish to sign in, as one statement on a plain connection: all that a request for a link does."""
    await connection.execute(_ADD_CHALLENGE, new_id(), email, language, client_ip, state, now, expires_at)


async def find_key(connection: Any, key_hash: bytes) -> Credential | None:
    """The live key with this hash, on a plain connection: every call with a key asks this."""
    row = await connection.fetchrow(_FIND_KEY, key_hash)
    return None if row is None else _credential(row, "api_key", frozenset(row["scopes"]))


async def find_session(
    connection: Any, token_hashes: list[bytes], *, now: datetime, idle_since: datetime
) -> Credential | None:
    """The live session with one of these hashes, on a plain connection: every call with a cookie asks this."""
    row = await connection.fetchrow(_FIND_SESSION, token_hashes, now, idle_since)
    return None if row is None else _credential(row, "session", frozenset())


async def note_uses(connection: Any, *, sessions: Mapping[UUID, datetime], api_keys: Mapping[UUID, datetime]) -> None:
    """Write down when sessions and keys were last used."""
    for statement, uses in ((_NOTE_SESSIONS, sessions), (_NOTE_KEYS, api_keys)):
        if uses:
            await connection.execute(statement, list(uses), list(uses.values()))


def _credential(row: Any, via: Any, key_scopes: frozenset[str]) -> Credential:
    return Credential(
        id=row["id"],
        via=via,
        user_id=row["user_id"],
        company_id=row["company_id"],
        role=row["role"],
        key_scopes=key_scopes,
        is_operator=row["is_operator"],
        is_user_blocked=row["is_user_blocked"],
        is_member_blocked=row["is_member_blocked"],
        is_company_blocked=row["is_company_blocked"],
    )
