"""One use case, one transaction: the factory that services are given, and what shares the transaction's session."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias, TypeVar

from b2b_chat.kit.database import Database, Session, is_statement_timeout
from b2b_chat.product.refusals import Refusal


class TookTooLong(Refusal):
    """Reading took longer than it may, and was ended."""

    code, status = "took_too_long", 503
    retryable = True
    message = "This took too long and was ended. Try again, or ask for less: a longer text, or fewer days."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "5"})


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


def reading_factory(database: Database) -> TransactionFactory:
    """Return the factory for costly reading: a statement that takes longer than the database lets it is refused.

    Raises (within the block):
        TookTooLong: A statement took too long.
    """

    @asynccontextmanager
    async def reading() -> AsyncIterator[Transaction]:
        try:
            async with database.session() as session:
                yield Transaction(session)
        except Exception as error:
            if is_statement_timeout(error):
                raise TookTooLong from None
            raise

    return reading
