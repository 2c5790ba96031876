"""One use case, one transaction: the repositories that share a session, and the factory that services are given."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from typing import TypeAlias

from b2b_chat.kit.database import Database, Session
from b2b_chat.product.audit.repository import AuditRepository
from b2b_chat.product.companies.repository import CompanyRepository, InviteRepository
from b2b_chat.product.conversations.repository import ConversationRepository
from b2b_chat.product.credits.repository import AccountRepository, UsageRepository
from b2b_chat.product.identity.key_repository import ApiKeyRepository
from b2b_chat.product.identity.repository import ChallengeRepository, SessionRepository, UserRepository
from b2b_chat.product.mail.repository import MailRepository
from b2b_chat.product.operators.repository import OperatorRepository


class Transaction:
    """The repositories of one open transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @cached_property
    def companies(self) -> CompanyRepository:
        """Companies and memberships."""
        return CompanyRepository(self._session)

    @cached_property
    def invites(self) -> InviteRepository:
        """Invites."""
        return InviteRepository(self._session)

    @cached_property
    def users(self) -> UserRepository:
        """Users and their API keys."""
        return UserRepository(self._session)

    @cached_property
    def challenges(self) -> ChallengeRepository:
        """Logins by mail."""
        return ChallengeRepository(self._session)

    @cached_property
    def sessions(self) -> SessionRepository:
        """Sessions."""
        return SessionRepository(self._session)

    @cached_property
    def api_keys(self) -> ApiKeyRepository:
        """API keys."""
        return ApiKeyRepository(self._session)

    @cached_property
    def operators(self) -> OperatorRepository:
        """Operators."""
        return OperatorRepository(self._session)

    @cached_property
    def mails(self) -> MailRepository:
        """The outbox."""
        return MailRepository(self._session)

    @cached_property
    def accounts(self) -> AccountRepository:
        """Balances and the ledger."""
        return AccountRepository(self._session)

    @cached_property
    def usage(self) -> UsageRepository:
        """Sums of charges."""
        return UsageRepository(self._session)

    @cached_property
    def conversations(self) -> ConversationRepository:
        """Conversations and messages, for reading."""
        return ConversationRepository(self._session)

    @cached_property
    def audit(self) -> AuditRepository:
        """The audit log."""
        return AuditRepository(self._session)


TransactionFactory: TypeAlias = Callable[[], AbstractAsyncContextManager[Transaction]]
"""Opens a transaction that commits when its block ends and rolls back when the block raises."""


def transaction_factory(database: Database) -> TransactionFactory:
    """The factory of a process's database."""

    @asynccontextmanager
    async def transaction() -> AsyncIterator[Transaction]:
        async with database.session() as session:
            yield Transaction(session)

    return transaction
