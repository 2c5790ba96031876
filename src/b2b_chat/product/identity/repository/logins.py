"""SQL of logins by mail."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, select, update

from b2b_chat.kit.database import Session, new_id
from b2b_chat.product.identity.models import ChallengeState, LoginChallengeRow

_ADD_CHALLENGE: Final = """
    INSERT INTO login_challenges (id, email, language, client_ip, state, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


class ChallengeRepository:
    """Logins by mail, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def claim_requested(self) -> LoginChallengeRow | None:
        """The oldest request that no other process is deciding."""
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
        """The live challenges of an address, newest first, locked until the transaction ends."""
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
