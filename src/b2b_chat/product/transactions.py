"""One use case, one transaction: the factory that services are given, and what shares the transaction's session."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias, TypeVar

from b2b_chat.kit.database import Database, Session

RepositoryT = TypeVar("RepositoryT")


class Transaction:
    """An open transaction. `tx[InviteRepository]` is that repository within it.

    It knows no domain, so that every domain may know it. A use case takes its own domain's repositories from it, and
    hands it on to another domain's service for what that domain does in the same transaction.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def __getitem__(self, repository: Callable[[Session], RepositoryT]) -> RepositoryT:
        return repository(self._session)


TransactionFactory: TypeAlias = Callable[[], AbstractAsyncContextManager[Transaction]]
"""Opens a transaction that commits when its block ends and rolls back when the block raises."""


def transaction_factory(database: Database) -> TransactionFactory:
    """Return the factory of a process's database."""

    @asynccontextmanager
    async def transaction() -> AsyncIterator[Transaction]:
        async with database.session() as session:
            yield Transaction(session)

    return transaction
