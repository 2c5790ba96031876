"""SQL of every call: the owner of a key or session; and the last use of each."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from b2b_chat.product.masking.policy import StoredPolicies
from b2b_chat.product.viewer import Credential

_FIND_KEY: Final = """
    SELECT keys.id, keys.company_id, keys.user_id, keys.scopes, keys.made_in_shell,
           coalesce(companies.needs_second_factor, false) AS company_needs_second_factor,
           users.blocked_at IS NOT NULL AS is_user_blocked,
           memberships.role, memberships.blocked_at IS NOT NULL AS is_member_blocked,
           companies.blocked_at IS NOT NULL AS is_company_blocked, operators.user_id IS NOT NULL AS is_operator,
           masking.policy AS masking_policy, COALESCE(masking.terms_version, 0) AS masking_terms_version,
           wish.policy AS masking_wish, (SELECT policy FROM masking_floor) AS masking_floor
    FROM api_keys AS keys
    JOIN users ON users.id = keys.user_id
    LEFT JOIN companies ON companies.id = keys.company_id
    LEFT JOIN memberships ON memberships.company_id = keys.company_id AND memberships.user_id = keys.user_id
    LEFT JOIN operators ON operators.user_id = keys.user_id AND keys.company_id IS NULL
    LEFT JOIN masking_policies AS masking ON masking.company_id = keys.company_id
    LEFT JOIN masking_wishes AS wish ON wish.company_id = keys.company_id AND wish.user_id = keys.user_id
    WHERE keys.key_hash = $1 AND keys.revoked_at IS NULL AND (keys.expires_at IS NULL OR keys.expires_at > now())
          AND (memberships.user_id IS NOT NULL OR operators.user_id IS NOT NULL)
"""
"""A key without a company is an operator's; an operator's key of a company is like any other key of it."""

_FIND_SESSION: Final = """
    SELECT sessions.id, sessions.company_id, sessions.user_id, sessions.proved_at,
           coalesce(companies.needs_second_factor, false) AS company_needs_second_factor,
           users.blocked_at IS NOT NULL AS is_user_blocked,
           memberships.role, memberships.blocked_at IS NOT NULL AS is_member_blocked,
           companies.blocked_at IS NOT NULL AS is_company_blocked, operators.user_id IS NOT NULL AS is_operator,
           masking.policy AS masking_policy, COALESCE(masking.terms_version, 0) AS masking_terms_version,
           wish.policy AS masking_wish, (SELECT policy FROM masking_floor) AS masking_floor
    FROM sessions
    JOIN users ON users.id = sessions.user_id
    LEFT JOIN companies ON companies.id = sessions.company_id
    LEFT JOIN memberships
        ON memberships.company_id = sessions.company_id AND memberships.user_id = sessions.user_id
    LEFT JOIN operators ON operators.user_id = sessions.user_id
    LEFT JOIN masking_policies AS masking ON masking.company_id = sessions.company_id
    LEFT JOIN masking_wishes AS wish ON wish.company_id = sessions.company_id AND wish.user_id = sessions.user_id
    WHERE sessions.token_hash = ANY($1::bytea[]) AND sessions.revoked_at IS NULL
          AND sessions.expires_at > $2 AND sessions.last_seen_at > $3
          AND (operators.user_id IS NULL OR (sessions.created_at > $4 AND sessions.last_seen_at > $5))
"""
"""A session of an operator ends sooner than others, from the moment at which the user becomes one."""

_NOTE_USE: Final = """
    UPDATE {table} SET {column} = used.at
    FROM unnest($1::uuid[], $2::timestamptz[]) AS used (id, at)
    WHERE {table}.id = used.id AND ({table}.{column} IS NULL OR {table}.{column} < used.at)
"""
_NOTE_SESSIONS: Final = _NOTE_USE.format(table="sessions", column="last_seen_at")
_NOTE_KEYS: Final = _NOTE_USE.format(table="api_keys", column="last_used_at")


async def find_key(connection: Any, key_hash: bytes) -> Credential | None:
    """Return the live key with this hash, on a plain connection: every call with a key runs this."""
    row = await connection.fetchrow(_FIND_KEY, key_hash)
    if row is None:
        return None
    return _credential(row, "api_key", frozenset(row["scopes"]), made_in_shell=row["made_in_shell"])


async def find_session(
    connection: Any,
    token_hashes: list[bytes],
    *,
    now: datetime,
    idle_since: datetime,
    operators_since: datetime,
    operators_idle_since: datetime,
) -> Credential | None:
    """Return the live session with one of these hashes, on a plain connection: every call with a cookie runs this."""
    row = await connection.fetchrow(_FIND_SESSION, token_hashes, now, idle_since, operators_since, operators_idle_since)
    return None if row is None else _credential(row, "session", frozenset(), proved_at=row["proved_at"])


async def note_uses(connection: Any, *, sessions: Mapping[UUID, datetime], api_keys: Mapping[UUID, datetime]) -> None:
    """Record when sessions and keys were last used."""
    for statement, uses in ((_NOTE_SESSIONS, sessions), (_NOTE_KEYS, api_keys)):
        if uses:
            await connection.execute(statement, list(uses), list(uses.values()))


def _credential(
    row: Any,
    via: Any,
    key_scopes: frozenset[str],
    *,
    proved_at: datetime | None = None,
    made_in_shell: bool = False,
) -> Credential:
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
        company_needs_second_factor=row["company_needs_second_factor"],
        proved_at=proved_at,
        made_in_shell=made_in_shell,
        masking=StoredPolicies(
            row["masking_policy"], row["masking_floor"], row["masking_wish"], row["masking_terms_version"]
        ),
    )
