"""Operators' API keys, for the use cases of operators: each function works within the caller's transaction.

They belong to no company: no query of a company finds one, and none of these finds a company's.
"""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from b2b_chat.product.identity.models import ApiKeyRow
from b2b_chat.product.identity.repository.keys import ApiKeyRepository
from b2b_chat.product.transactions import Transaction


class OperatorKey(Struct, frozen=True):
    """A key of an operator, without its secret part."""

    id: UUID
    name: str
    prefix: str
    """How the key begins, to recognise it by."""
    user_id: UUID
    """The operator for whom it acts."""
    made_in_shell: bool
    """Whether it was made on the server's command line. Only such a key may change credits and keys."""
    created_at: datetime
    expires_at: datetime | None
    """None for old keys only."""
    revoked_at: datetime | None
    last_used_at: datetime | None


class NewOperatorKey(Struct, frozen=True):
    """A key that was just made."""

    api_key: OperatorKey
    key: str
    """The key itself. It is shown this once and cannot be seen again."""


async def issue_operator_key(
    tx: Transaction, *, user_id: UUID, name: str, expires_at: datetime, made_in_shell: bool
) -> NewOperatorKey:
    """Make a key that acts as an operator. It is shown this once."""
    row, key = await tx[ApiKeyRepository].issue(
        company_id=None, user_id=user_id, name=name, expires_at=expires_at, made_in_shell=made_in_shell
    )
    return NewOperatorKey(_shown(row), key)


async def list_operator_keys(
    tx: Transaction, user_id: UUID | None, *, before: UUID | None = None, limit: int | None = None
) -> list[OperatorKey]:
    """Return an operator's keys, or those of all, revoked ones too, newest first."""
    rows = await tx[ApiKeyRepository].list_operators_keys(user_id, before=before, limit=limit)
    return [_shown(row) for row in rows]


async def find_operator_key(tx: Transaction, api_key_id: UUID) -> OperatorKey | None:
    """Return an operator's key, which stays as it is until the transaction ends; None where it does not exist."""
    row = await tx[ApiKeyRepository].find_operators_key_locked(api_key_id)
    return None if row is None else _shown(row)


async def operator_key_ids(tx: Transaction, prefix: str) -> list[UUID]:
    """Return the ids of the operators' keys that begin so."""
    return await tx[ApiKeyRepository].find_operators_key_ids(prefix)


async def revoke_operator_key(tx: Transaction, api_key_id: UUID, now: datetime) -> datetime:
    """End an existing key for good, and return since when it is revoked: the first time counts."""
    row = await tx[ApiKeyRepository].find_operators_key_locked(api_key_id)
    if row is None:
        raise LookupError(api_key_id)
    row.revoked_at = row.revoked_at or now
    return row.revoked_at


def _shown(row: ApiKeyRow) -> OperatorKey:
    return OperatorKey(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        user_id=row.user_id,
        made_in_shell=row.made_in_shell,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
