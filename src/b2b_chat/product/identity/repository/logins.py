"""SQL of logins by mail."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, update

from b2b_chat.kit.database import Session, new_id
from b2b_chat.product.identity.models import ChallengeState, LoginChallengeRow

_ADD_CHALLENGE: Final = """
    INSERT INTO login_challenges
        (id, email, language, client_ip, request_hash, known_browser_hash, state, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, 'requested', $7, $8)
"""


class Opened(NamedTuple):
    """Where a challenge came from."""

    client_ip: str
    known_browser_hash: bytes | None


class WrongCodes(NamedTuple):
    """How many there were, and when the first challenge ends, or ended, at which there were any."""

    number: int
    first_expires_at: datetime | None


class Redeemed(NamedTuple):
    """Whom a used challenge signs in."""

    user_id: UUID
    email: str


class ChallengeRepository:
    """Logins by mail, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def claim_requested(self) -> LoginChallengeRow | None:
        """Return the oldest request that no other process is deciding."""
        query = (
            select(LoginChallengeRow)
            .where(LoginChallengeRow.state == ChallengeState.REQUESTED)
            .order_by(LoginChallengeRow.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        return await self._session.scalar(query)

    async def lock_name(self, name: str) -> None:
        """Lock decisions about an address, a mailbox or a domain until the transaction ends."""
        await self._session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))

    async def lock_open(self, email: str, now: datetime) -> Sequence[LoginChallengeRow]:
        """Return the live challenges of an address, newest first, locked until the transaction ends."""
        query = (
            select(LoginChallengeRow)
            .where(LoginChallengeRow.email == email, LoginChallengeRow.expires_at > now)
            .where(LoginChallengeRow.state == ChallengeState.OPEN)
            .order_by(LoginChallengeRow.id.desc())
            .with_for_update()
        )
        return (await self._session.scalars(query)).all()

    async def list_opened(self, email: str, *, expires_after: datetime) -> list[Opened]:
        """Return the origins of an address's challenges that were opened and end, or ended, after a moment."""
        query = (
            select(LoginChallengeRow.client_ip, LoginChallengeRow.known_browser_hash)
            .where(LoginChallengeRow.email == email, LoginChallengeRow.expires_at > expires_after)
            .where(LoginChallengeRow.token_hash.is_not(None))
        )
        return [Opened(*row) for row in await self._session.execute(query)]

    async def count_invited(self, *, mailbox: str, domain: str | None, expires_after: datetime) -> tuple[int, int]:
        """Return how many such challenges were mailed to a mailbox, and to a domain, of people only invited."""
        by_mailbox = select(func.count()).where(
            LoginChallengeRow.invited_mailbox == mailbox, LoginChallengeRow.expires_at > expires_after
        )
        # Without a domain it compares with nothing, where `== None` would find all that have none.
        by_domain = select(func.count()).where(
            LoginChallengeRow.invited_domain == (domain or ""), LoginChallengeRow.expires_at > expires_after
        )
        row = (await self._session.execute(select(by_mailbox.scalar_subquery(), by_domain.scalar_subquery()))).one()
        return row[0], row[1]

    async def count_wrong_codes(
        self, email: str, *, known_browser_hash: bytes | None, expires_after: datetime
    ) -> tuple[WrongCodes, WrongCodes]:
        """Return the wrong codes at such challenges: by their own browsers, by this one if known, and by others."""
        asked_so = LoginChallengeRow.known_browser_hash.is_not_distinct_from(known_browser_hash)
        own, strangers = LoginChallengeRow.wrong_codes, LoginChallengeRow.strangers_wrong_codes
        query = select(
            func.coalesce(func.sum(own).filter(asked_so), 0),
            func.min(LoginChallengeRow.expires_at).filter(asked_so, own > 0),
            func.coalesce(func.sum(strangers), 0),
            func.min(LoginChallengeRow.expires_at).filter(strangers > 0),
        ).where(LoginChallengeRow.email == email, LoginChallengeRow.expires_at > expires_after)
        row = (await self._session.execute(query)).one()
        return WrongCodes(row[0], row[1]), WrongCodes(row[2], row[3])

    async def find_open_by_token(self, token_hashes: Sequence[bytes], now: datetime) -> LoginChallengeRow | None:
        """Return the one live challenge of a known user whose link has this token."""
        query = select(LoginChallengeRow).where(*_redeemable(token_hashes, now))
        return await self._session.scalar(query)

    async def redeem_token(self, token_hashes: Sequence[bytes], now: datetime) -> Redeemed | None:
        """Use the challenge up, and return whom it signs in."""
        used = (
            update(LoginChallengeRow)
            .where(*_redeemable(token_hashes, now))
            .values(state=ChallengeState.REDEEMED)
            .returning(LoginChallengeRow.user_id, LoginChallengeRow.email)
        )
        row = (await self._session.execute(used)).one_or_none()
        return None if row is None or row[0] is None else Redeemed(row[0], row[1])

    async def forget(self, *, expired_before: datetime) -> None:
        """Delete challenges that ended long ago."""
        await self._session.execute(delete(LoginChallengeRow).where(LoginChallengeRow.expires_at < expired_before))


def _redeemable(token_hashes: Sequence[bytes], now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        LoginChallengeRow.token_hash.in_(token_hashes),
        LoginChallengeRow.expires_at > now,
        LoginChallengeRow.state == ChallengeState.OPEN,
        LoginChallengeRow.user_id.is_not(None),
    )


async def add_challenge(
    connection: Any,
    *,
    email: str,
    language: str,
    client_ip: str,
    request_hash: bytes,
    known_browser_hash: bytes | None,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Record a request to sign in, as one statement on a plain connection: all that a request for a link does."""
    await connection.execute(
        _ADD_CHALLENGE, new_id(), email, language, client_ip, request_hash, known_browser_hash, now, expires_at
    )
