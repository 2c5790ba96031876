"""SQL of companies, memberships and invites."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Numeric,
    Select,
    String,
    Uuid,
    column,
    delete,
    func,
    select,
    table,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from b2b_chat.kit.database import Session, new_id
from b2b_chat.kit.search import pattern_of
from b2b_chat.product.companies.models import CompanyRow, InviteRow, InviteState, MembershipRow
from b2b_chat.product.vocabulary import Role

# Columns of other domains' tables that are read here.
_USERS: Final = table(
    "users", column("id", Uuid), column("email", String), column("blocked_at", DateTime(timezone=True))
)
_ACCOUNTS: Final = table(
    "accounts", column("company_id", Uuid), column("balance_credits", Numeric), column("held_credits", Numeric)
)


class CompanyRecord(NamedTuple):
    """A company with what its account has."""

    company: CompanyRow
    balance_credits: Decimal
    held_credits: Decimal


class MemberRecord(NamedTuple):
    """A membership with the address of its user."""

    membership: MembershipRow
    email: str


class CompanyRepository:
    """Companies and their members, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, name: str) -> CompanyRow:
        """Add a company."""
        company = CompanyRow(id=new_id(), name=name)
        self._session.add(company)
        await self._session.flush()
        await self._session.refresh(company)
        return company

    async def get(self, company_id: UUID) -> CompanyRow:
        """A company that is known to exist."""
        return (await self._session.scalars(select(CompanyRow).where(CompanyRow.id == company_id))).one()

    async def find_locked(self, company_id: UUID) -> CompanyRow | None:
        """A company, locked: no other transaction changes its members and invites until this one ends.

        Chats go on: rows that refer to the company may still be added.
        """
        query = select(CompanyRow).where(CompanyRow.id == company_id).with_for_update(key_share=True)
        return await self._session.scalar(query)

    async def get_locked(self, company_id: UUID) -> CompanyRow:
        """The same, of a company that is known to exist."""
        company = await self.find_locked(company_id)
        if company is None:
            raise LookupError(company_id)
        return company

    async def find_with_account(self, company_id: UUID) -> CompanyRecord | None:
        """A company with its account."""
        row = (await self._session.execute(_with_accounts().where(CompanyRow.id == company_id))).one_or_none()
        return None if row is None else CompanyRecord(*row)

    async def list_with_accounts(
        self, *, name_part: str | None, before: UUID | None, limit: int
    ) -> list[CompanyRecord]:
        """Companies whose name contains a text, whatever its case, newest first, below an id."""
        query = _with_accounts()
        if name_part is not None:
            query = query.where(CompanyRow.name.regexp_match(pattern_of(name_part)))
        if before is not None:
            query = query.where(CompanyRow.id < before)
        rows = await self._session.execute(query.order_by(CompanyRow.id.desc()).limit(limit))
        return [CompanyRecord(*row) for row in rows]

    async def add_member(self, company_id: UUID, user_id: UUID, role: Role) -> bool:
        """Make a user a member of a company; return False, and change nothing, for a member."""
        added = (
            insert(MembershipRow)
            .values(company_id=company_id, user_id=user_id, role=role)
            .on_conflict_do_nothing()
            .returning(MembershipRow.user_id)
        )
        return await self._session.scalar(added) is not None

    async def find_member(self, company_id: UUID, user_id: UUID) -> MemberRecord | None:
        """A member of a company."""
        query = _members(company_id).where(MembershipRow.user_id == user_id)
        row = (await self._session.execute(query)).one_or_none()
        return None if row is None else MemberRecord(*row)

    async def has_member_with_email(self, company_id: UUID, email: str) -> bool:
        """Whether the person with this lower-case address is a member of a company."""
        query = _members(company_id).where(_USERS.c.email == email)
        return (await self._session.execute(query)).first() is not None

    async def list_members(self, company_id: UUID, *, after: UUID | None, limit: int) -> list[MemberRecord]:
        """Members of a company by user id, above one."""
        query = _members(company_id)
        if after is not None:
            query = query.where(MembershipRow.user_id > after)
        rows = await self._session.execute(query.order_by(MembershipRow.user_id).limit(limit))
        return [MemberRecord(*row) for row in rows]

    async def list_addresses(self, company_id: UUID, user_ids: Collection[UUID]) -> dict[UUID, str]:
        """The addresses of the given users, without those who are not members of the company."""
        query = _members(company_id).where(MembershipRow.user_id.in_(user_ids))
        return {membership.user_id: email for membership, email in await self._session.execute(query)}

    async def list_memberships(self, user_ids: Collection[UUID]) -> list[tuple[MembershipRow, str]]:
        """All memberships of some users with the companies' names, in the order in which they joined."""
        query = (
            select(MembershipRow, CompanyRow.name)
            .join(CompanyRow, CompanyRow.id == MembershipRow.company_id)
            .where(MembershipRow.user_id.in_(user_ids))
            .order_by(MembershipRow.created_at)
        )
        return [(row, name) for row, name in await self._session.execute(query)]

    async def count_acting_owners(self, company_id: UUID) -> int:
        """How many owners of a company are blocked neither in it nor altogether."""
        query = (
            select(func.count())
            .select_from(MembershipRow)
            .join(_USERS, _USERS.c.id == MembershipRow.user_id)
            .where(MembershipRow.company_id == company_id, MembershipRow.role == Role.OWNER)
            .where(MembershipRow.blocked_at.is_(None), _USERS.c.blocked_at.is_(None))
        )
        return await self._session.scalar(query) or 0

    async def remove_member(self, company_id: UUID, user_id: UUID) -> None:
        """Remove a user from a company."""
        await self._session.execute(
            delete(MembershipRow).where(MembershipRow.company_id == company_id, MembershipRow.user_id == user_id)
        )


def _with_accounts() -> Select[CompanyRow, Decimal, Decimal]:
    return select(CompanyRow, _ACCOUNTS.c.balance_credits, _ACCOUNTS.c.held_credits).join(
        _ACCOUNTS, _ACCOUNTS.c.company_id == CompanyRow.id
    )


def _members(company_id: UUID) -> Select[MembershipRow, str]:
    return (
        select(MembershipRow, _USERS.c.email)
        .join(_USERS, _USERS.c.id == MembershipRow.user_id)
        .where(MembershipRow.company_id == company_id)
    )


class InviteRepository:
    """Invites, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, row: InviteRow) -> None:
        """Add an invite."""
        self._session.add(row)

    async def find_locked(self, company_id: UUID, invite_id: UUID) -> InviteRow | None:
        """A company's invite, locked until the transaction ends."""
        query = select(InviteRow).where(InviteRow.company_id == company_id, InviteRow.id == invite_id)
        return await self._session.scalar(query.with_for_update())

    async def find_email(self, company_id: UUID, invite_id: UUID) -> str | None:
        """The address to which a company's invite goes; it never changes."""
        query = select(InviteRow.email).where(InviteRow.company_id == company_id, InviteRow.id == invite_id)
        return await self._session.scalar(query)

    async def list_invites(self, company_id: UUID, *, before: UUID | None, limit: int) -> list[InviteRow]:
        """A company's invites, newest first, below an id."""
        query = select(InviteRow).where(InviteRow.company_id == company_id)
        if before is not None:
            query = query.where(InviteRow.id < before)
        return list(await self._session.scalars(query.order_by(InviteRow.id.desc()).limit(limit)))

    async def list_open_emails(self, company_id: UUID, now: datetime) -> list[str]:
        """The addresses of a company's invites that can still be accepted."""
        query = select(InviteRow.email).where(InviteRow.company_id == company_id, *_is_open(now))
        return list(await self._session.scalars(query))

    async def revoke_beyond(self, company_id: UUID, invited_by: UUID, roles: Collection[Role], now: datetime) -> None:
        """Revoke the pending invites that a user made, except those with one of these roles."""
        await self._session.execute(
            update(InviteRow)
            .where(InviteRow.company_id == company_id, InviteRow.invited_by == invited_by)
            .where(InviteRow.state == InviteState.PENDING, InviteRow.role.not_in(roles))
            .values(state=InviteState.REVOKED, closed_at=now)
        )

    async def revoke_all_of(self, invited_by: UUID, now: datetime) -> None:
        """Revoke the pending invites that a user made, in every company."""
        await self._session.execute(
            update(InviteRow)
            .where(InviteRow.invited_by == invited_by, InviteRow.state == InviteState.PENDING)
            .values(state=InviteState.REVOKED, closed_at=now)
        )

    async def claim(self, token_hashes: Collection[bytes], email: str, now: datetime) -> InviteRow | None:
        """Mark the one open invite with one of these hashes and this address as accepted, and return it."""
        claimed = (
            update(InviteRow)
            .where(InviteRow.token_hash.in_(token_hashes), InviteRow.email == email, *_is_open(now))
            .values(state=InviteState.ACCEPTED, closed_at=now)
            .returning(InviteRow)
        )
        return await self._session.scalar(claimed)


def _is_open(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (InviteRow.state == InviteState.PENDING, InviteRow.expires_at > now)
