"""API keys: programs that act for a user of a company."""

from collections.abc import Collection
from uuid import UUID

from b2b_chat.kit.clock import utc_now
from b2b_chat.kit.database import Database
from b2b_chat.product.identity.api_keys import SHOWN_CHARACTERS, hash_api_key, is_well_formed, new_api_key
from b2b_chat.product.identity.last_use import LastUse
from b2b_chat.product.identity.models import ApiKeyRow
from b2b_chat.product.identity.repository import find_key
from b2b_chat.product.transactions import TransactionFactory
from b2b_chat.product.viewer import CompanyBlocked, Unauthenticated, UserBlocked, Viewer
from b2b_chat.product.vocabulary import Scope


class ApiKeys:
    """Keys that let programs act for a user.

    Args:
        transaction: Opens a transaction.
        database: Asked whom a key is of.
        last_use: Told which keys are used; without one it is not written down.
    """

    def __init__(self, transaction: TransactionFactory, database: Database, last_use: LastUse | None = None) -> None:
        self._transaction = transaction
        self._database = database
        self._last_use = last_use or LastUse(database, utc_now)

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
            await tx.api_keys.add(row)
        return key

    async def authenticate(self, key: str) -> Viewer:
        """Tell whom a key acts for. It goes as far as both its scopes and its user's role do.

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
