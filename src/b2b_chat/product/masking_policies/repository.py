"""SQL of masking policies."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from b2b_chat.kit.connections import Connection
from b2b_chat.kit.database import Session
from b2b_chat.product.masking_policies.models import MaskingFloorRow, MaskingPolicyRow, MaskingWishRow

_FIND_TERMS: Final = "SELECT terms_version, terms, allowed FROM masking_policies WHERE company_id = $1"


class StoredTerms(NamedTuple):
    """A company's two lists, and their version."""

    version: int
    terms: Sequence[str]
    allowed: Sequence[str]


async def find_terms(connection: Connection, company_id: UUID) -> StoredTerms | None:
    """Return a company's lists, on a plain connection: a chat asks this when they have changed."""
    row = await connection.fetchrow(_FIND_TERMS, company_id)
    return None if row is None else StoredTerms(*row)


class MaskingPolicyRepository:
    """Policies, wishes and the floor, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, company_id: UUID) -> MaskingPolicyRow | None:
        """What a company has set."""
        return await self._session.get(MaskingPolicyRow, company_id)

    async def get_locked(self, company_id: UUID) -> MaskingPolicyRow:
        """What a company has set, to be changed; it is locked until the transaction ends."""
        await self._session.execute(
            insert(MaskingPolicyRow).values(company_id=company_id).on_conflict_do_nothing(index_elements=["company_id"])
        )
        found = select(MaskingPolicyRow).where(MaskingPolicyRow.company_id == company_id).with_for_update()
        return (await self._session.scalars(found)).one()

    async def find_wish(self, company_id: UUID, user_id: UUID) -> dict[str, Any] | None:
        """What a member adds."""
        row = await self._session.get(MaskingWishRow, (company_id, user_id))
        return None if row is None else row.policy

    async def set_wish(self, company_id: UUID, user_id: UUID, policy: dict[str, Any]) -> None:
        """Store what a member adds."""
        await self._session.execute(
            insert(MaskingWishRow)
            .values(company_id=company_id, user_id=user_id, policy=policy)
            .on_conflict_do_update(
                index_elements=["company_id", "user_id"], set_={"policy": policy, "updated_at": func.now()}
            )
        )

    async def find_floor(self) -> MaskingFloorRow | None:
        """The installation's floor."""
        return await self._session.get(MaskingFloorRow, True)

    async def get_locked_floor(self) -> MaskingFloorRow:
        """The installation's floor, to be changed; it is locked until the transaction ends."""
        await self._session.execute(
            insert(MaskingFloorRow)
            .values(is_only=True, version=0, policy={})
            .on_conflict_do_nothing(index_elements=["is_only"])
        )
        return (await self._session.scalars(select(MaskingFloorRow).with_for_update())).one()

    async def save(self, row: MaskingPolicyRow | MaskingFloorRow) -> None:
        """Store a changed row, and when it was changed."""
        row.updated_at = func.now()
        await self._session.flush()
        await self._session.refresh(row)
