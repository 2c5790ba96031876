"""SQL of companies and memberships."""

from uuid import UUID

from b2b_chat.kit.database import Session, new_id
from b2b_chat.product.companies.models import CompanyRow, MembershipRow, Role


class CompanyRepository:
    """Companies and their members, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, name: str) -> UUID:
        """Add a company and return its id."""
        company_id = new_id()
        self._session.add(CompanyRow(id=company_id, name=name))
        await self._session.flush()
        return company_id

    async def add_member(self, company_id: UUID, user_id: UUID, role: Role) -> None:
        """Let a user belong to a company."""
        self._session.add(MembershipRow(company_id=company_id, user_id=user_id, role=role))
        await self._session.flush()
