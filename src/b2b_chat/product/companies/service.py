"""Companies and who belongs to them."""

from uuid import UUID

from b2b_chat.product.companies.models import Role
from b2b_chat.product.transactions import TransactionFactory


class Companies:
    """Setting up customers."""

    def __init__(self, transaction: TransactionFactory) -> None:
        self._transaction = transaction

    async def create(self, name: str) -> UUID:
        """Create a company with an empty account, and return its id."""
        async with self._transaction() as tx:
            company_id = await tx.companies.add(name)
            await tx.accounts.open(company_id)
        return company_id

    async def join(self, company_id: UUID, email: str, role: Role) -> UUID:
        """Make the person with this address a member, known before or not, and return the user's id."""
        async with self._transaction() as tx:
            user_id = await tx.users.find_id_by_email(email.lower()) or await tx.users.add(email.lower())
            await tx.companies.add_member(company_id, user_id, role)
        return user_id
