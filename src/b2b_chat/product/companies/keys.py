"""The API keys of a company, as its admins see them."""

from datetime import datetime, timedelta
from uuid import UUID

from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.kit.errors import Refusal
from b2b_chat.kit.pagination import Page, id_from_cursor
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import actor_of
from b2b_chat.product.companies.schemas import ApiKey, ApiKeyCreate, NewApiKey
from b2b_chat.product.identity.api_keys import SHOWN_CHARACTERS, hash_api_key, new_api_key
from b2b_chat.product.identity.models import ApiKeyRow
from b2b_chat.product.transactions import TransactionFactory
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Scope


class ApiKeyNotFound(Refusal):
    """The company has no such key."""

    code, status = "api_key_not_found", 404
    message = "Your company has no API key with this id."


class CompanyKeys:
    """Making and revoking the keys that programs of a company use."""

    def __init__(self, transaction: TransactionFactory, *, clock: Clock = utc_now) -> None:
        self._transaction = transaction
        self._clock = clock

    async def create(self, viewer: Viewer, wanted: ApiKeyCreate) -> NewApiKey:
        """Make a key that acts for the viewer. This is the only time that it can be seen.

        Whatever its scopes, it never goes beyond what the viewer's role allows at the time of a call.

        Raises:
            ScopeMissing: The viewer lacks a scope that the key is to have.
        """
        for scope in wanted.scopes:
            viewer.require(scope)
        days = wanted.expires_in_days
        key = new_api_key()
        async with self._transaction() as tx:
            row = await tx.api_keys.add(
                ApiKeyRow(
                    company_id=viewer.company_id,
                    user_id=viewer.user_id,
                    name=wanted.name,
                    prefix=key[:SHOWN_CHARACTERS],
                    key_hash=hash_api_key(key),
                    scopes=sorted(set(wanted.scopes)),
                    expires_at=None if days is None else self._clock() + timedelta(days=days),
                )
            )
            await tx.audit.record(
                actor_of(viewer),
                Action.API_KEY_CREATE,
                targets={"api_key_id": row.id},
                after={"scopes": row.scopes, "expires_at": row.expires_at},
            )
        return NewApiKey(_api_key(row), key)

    async def list_keys(self, viewer: Viewer, *, cursor: str | None, limit: int) -> Page[ApiKey]:
        """The keys of the viewer's company, revoked ones too, newest first."""
        async with self._transaction() as tx:
            rows = await tx.api_keys.list_keys(viewer.company_id, before=id_from_cursor(cursor), limit=limit + 1)
        items = [_api_key(row) for row in rows[:limit]]
        return Page(items, str(items[-1].id) if len(rows) > limit else None)

    async def revoke(self, viewer: Viewer, api_key_id: UUID) -> None:
        """End a key for good, whoever's it is. Revoking it again changes nothing.

        Raises:
            ApiKeyNotFound: The company has no such key.
        """
        async with self._transaction() as tx:
            row = await tx.api_keys.find_locked(viewer.company_id, api_key_id)
            if row is None:
                raise ApiKeyNotFound
            before: datetime | None = row.revoked_at
            row.revoked_at = before or self._clock()
            await tx.audit.record(
                actor_of(viewer),
                Action.API_KEY_REVOKE,
                targets={"api_key_id": api_key_id},
                before={"revoked_at": before},
                after={"revoked_at": row.revoked_at},
            )


def _api_key(row: ApiKeyRow) -> ApiKey:
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
