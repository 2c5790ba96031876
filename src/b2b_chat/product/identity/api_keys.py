"""API keys: programs that act for a user of a company, or as an operator.

The functions work within the caller's transaction. Operators' keys are in `operator_keys`.
"""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from b2b_chat.kit.clock import utc_now
from b2b_chat.kit.database import Database
from b2b_chat.product.identity.key_form import hash_api_key, is_well_formed
from b2b_chat.product.identity.last_use import LastUse
from b2b_chat.product.identity.models import ApiKeyRow
from b2b_chat.product.identity.repository.credentials import find_key
from b2b_chat.product.identity.repository.keys import ApiKeyRepository
from b2b_chat.product.identity.schemas import ApiKey, NewApiKey
from b2b_chat.product.transactions import Transaction
from b2b_chat.product.viewer import CompanyBlocked, Unauthenticated, UserBlocked, Viewer
from b2b_chat.product.vocabulary import Scope


class Revocation(NamedTuple):
    """When a key was revoked, before and after a revocation; the first time counts."""

    before: datetime | None
    after: datetime


class ApiKeys:
    """Recognises the callers behind API keys.

    Args:
        database: Asked for the user and company of a key.
        last_use: Remembers which keys are used; without one nothing is written.
    """

    def __init__(self, database: Database, last_use: LastUse | None = None) -> None:
        self._database = database
        self._last_use = last_use or LastUse(database, utc_now)

    async def authenticate(self, key: str) -> Viewer:
        """Return the caller that a key acts for. It may do what both its scopes and its user's role allow.

        Raises:
            Unauthenticated: The key is malformed, unknown, revoked or expired, or its user has left the company.
            UserBlocked, CompanyBlocked: The key is good, but its user or company was blocked.
        """
        if not is_well_formed(key):
            raise Unauthenticated
        async with self._database.connection() as connection:
            credential = await find_key(connection, hash_api_key(key))
        if credential is None:
            raise Unauthenticated
        viewer = credential.viewer()
        if viewer.obstacle in {UserBlocked, CompanyBlocked}:
            raise viewer.obstacle
        self._last_use.note(viewer)
        return viewer


async def issue_key(
    tx: Transaction,
    *,
    company_id: UUID,
    user_id: UUID,
    name: str,
    scopes: Collection[Scope],
    expires_at: datetime | None = None,
) -> NewApiKey:
    """Make a key that acts for a user in a company. It is shown this once."""
    row, key = await tx[ApiKeyRepository].issue(
        company_id=company_id, user_id=user_id, name=name, scopes=scopes, expires_at=expires_at
    )
    return NewApiKey(_shown(row), key)


async def list_keys(tx: Transaction, company_id: UUID, *, before: UUID | None, limit: int) -> list[ApiKey]:
    """Return a company's keys, revoked ones too, newest first, below an id."""
    rows = await tx[ApiKeyRepository].list_keys(company_id, before=before, limit=limit)
    return [_shown(row) for row in rows]


async def count_live_keys(tx: Transaction, company_id: UUID, user_id: UUID, now: datetime) -> int:
    """Return how many keys of a user in a company are neither revoked nor expired."""
    return await tx[ApiKeyRepository].count_live(company_id, user_id, now)


async def user_of_key(tx: Transaction, company_id: UUID, api_key_id: UUID) -> UUID | None:
    """Return the id of the user that a company's key acts for; None where the company has no such key."""
    row = await tx[ApiKeyRepository].find_locked(company_id, api_key_id)
    return None if row is None else row.user_id


async def revoke_key(tx: Transaction, company_id: UUID, api_key_id: UUID, now: datetime) -> Revocation | None:
    """End a company's key for good; None where the company has no such key."""
    row = await tx[ApiKeyRepository].find_locked(company_id, api_key_id)
    if row is None:
        return None
    before = row.revoked_at
    row.revoked_at = before or now
    return Revocation(before, row.revoked_at)


async def revoke_keys_of(tx: Transaction, company_id: UUID | None, user_id: UUID, now: datetime) -> None:
    """Revoke a user's keys of a company; without a company, the user's keys as an operator."""
    await tx[ApiKeyRepository].revoke_all_of(company_id, user_id, now)


def _shown(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        scopes=[Scope(scope) for scope in row.scopes],
        user_id=row.user_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
