"""Who is calling, and with what right."""

from collections.abc import Collection
from uuid import UUID

from msgspec import Struct

from b2b_chat.kit.database import Database
from b2b_chat.kit.errors import Refusal
from b2b_chat.product.identity.api_keys import SHOWN_CHARACTERS, Scope, hash_api_key, is_well_formed, new_api_key
from b2b_chat.product.identity.models import ApiKeyRow
from b2b_chat.product.identity.repository import find_key_owner
from b2b_chat.product.transactions import TransactionFactory


class Unauthenticated(Refusal):
    """Nobody, or nobody that is known."""

    code, status = "unauthenticated", 401
    message = "Send a valid API key as `Authorization: Bearer b2b_…`."

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": "Bearer"})


class ScopeMissing(Refusal):
    """A known caller, but with a key that may not do this."""

    code, status = "scope_missing", 403
    message = "This API key may not do that. Ask your admin for one with the right scope."


class Viewer(Struct, frozen=True):
    """The caller of a request: a user, acting in one company."""

    user_id: UUID
    company_id: UUID
    scopes: frozenset[str]

    def require(self, scope: Scope) -> None:
        """Refuse a caller without this scope.

        Raises:
            ScopeMissing: The key was made without it.
        """
        if scope not in self.scopes:
            raise ScopeMissing


class ApiKeys:
    """Keys that let programs act for a user."""

    def __init__(self, transaction: TransactionFactory, database: Database) -> None:
        self._transaction = transaction
        self._database = database

    async def issue(self, company_id: UUID, user_id: UUID, name: str, scopes: Collection[Scope]) -> str:
        """Make a key for a member of a company. This is the only time that it can be seen."""
        key = new_api_key()
        row = ApiKeyRow(
            company_id=company_id,
            user_id=user_id,
            name=name,
            prefix=key[:SHOWN_CHARACTERS],
            key_hash=hash_api_key(key),
            scopes=sorted(scopes),
        )
        async with self._transaction() as tx:
            await tx.users.add_api_key(row)
        return key

    async def authenticate(self, key: str) -> Viewer:
        """Tell whom a key acts for.

        Raises:
            Unauthenticated: The key is malformed, unknown, revoked or expired, or its user has left the company.
        """
        if not is_well_formed(key):
            raise Unauthenticated
        async with self._database.connection() as connection:
            owner = await find_key_owner(connection, hash_api_key(key))
        if owner is None:
            raise Unauthenticated
        company_id, user_id, scopes = owner
        return Viewer(user_id, company_id, scopes)
