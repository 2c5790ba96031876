"""The members of a company: their roles and blocks."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.kit.pagination import Page, id_from_cursor
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import actor_of
from b2b_chat.product.audit.service import record_action
from b2b_chat.product.companies.ceiling import (
    lock_company,
    require_person_to_let_in,
    require_person_to_raise,
    require_reach,
    roles_up_to,
)
from b2b_chat.product.companies.models import MembershipRow
from b2b_chat.product.companies.repository import CompanyRepository, InviteRepository, MemberRecord
from b2b_chat.product.companies.schemas import Member
from b2b_chat.product.identity import sessions
from b2b_chat.product.identity.api_keys import revoke_keys_of
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.second_factor.service import SecondFactorProtected, is_guarding_more, reset_second_factor
from b2b_chat.product.transactions import Transaction, TransactionFactory
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Role


class MemberNotFound(Refusal):
    """The company has no such member."""

    code, status = "member_not_found", 404
    param = "user_id"
    message = "Your company has no member with this id."


class LastOwner(Refusal):
    """The company would have no owner left who can act."""

    code, status = "last_owner", 409
    message = "This is the company's last owner. Make another member an owner first."


class Belonging(NamedTuple):
    """A membership, as operators see it."""

    user_id: UUID
    company_id: UUID
    company_name: str
    role: Role
    blocked_at: datetime | None


async def memberships_of(tx: Transaction, user_ids: Collection[UUID]) -> list[Belonging]:
    """Return all memberships of some users, in the order in which they joined."""
    return [
        Belonging(row.user_id, row.company_id, company_name, Role(row.role), row.blocked_at)
        for row, company_name in await tx[CompanyRepository].list_memberships(user_ids)
    ]


class Members:
    """Changes to a company's members.

    All changes to the members of a company happen one after the other, under the lock of its row, so that two owners
    cannot end each other's ownership at the same time. Every change ends the member's sessions, and revokes those of
    the member's open invites that the member could not make any more.
    """

    def __init__(self, transaction: TransactionFactory, *, clock: Clock = utc_now) -> None:
        self._transaction = transaction
        self._clock = clock

    async def list_members(self, viewer: Viewer, *, cursor: str | None, limit: int) -> Page[Member]:
        """Return the members of the viewer's company."""
        async with self._transaction() as tx:
            records = await tx[CompanyRepository].list_members(
                viewer.company_id, after=id_from_cursor(cursor), limit=limit + 1
            )
        items = [_member(record) for record in records[:limit]]
        return Page(items, str(items[-1].user_id) if len(records) > limit else None)

    async def get(self, viewer: Viewer, user_id: UUID) -> Member:
        """Return one member of the viewer's company.

        Raises:
            MemberNotFound: The company has no such member.
        """
        async with self._transaction() as tx:
            record = await tx[CompanyRepository].find_member(viewer.company_id, user_id)
        if record is None:
            raise MemberNotFound
        return _member(record)

    async def addresses(self, viewer: Viewer, user_ids: Collection[UUID]) -> dict[UUID, str]:
        """Return the mail addresses of those people who belong to the viewer's company."""
        async with self._transaction() as tx:
            return await tx[CompanyRepository].list_addresses(viewer.company_id, user_ids)

    async def change_role(self, viewer: Viewer, user_id: UUID, role: Role) -> Member:
        """Give a member another role, up to the viewer's own.

        Raises:
            MemberNotFound: The company has no such member.
            RoleTooLow: The role, or the one that the member has, is above the viewer's.
            RoleTooHighForKey: The viewer has an API key, and the role is above the one that the member has.
            LastOwner: The company has no other owner.
        """
        async with self._changing(viewer, user_id, Action.MEMBER_CHANGE_ROLE) as change:
            require_reach(change.own_role, role)
            require_person_to_raise(viewer, change.record.membership.role, to=role)
            change.record.membership.role = role
            record = change.record
        return _member(record)

    async def block(self, viewer: Viewer, user_id: UUID) -> Member:
        """Block a member, and the member's keys, in the company.

        Raises:
            MemberNotFound, RoleTooLow, LastOwner: As for a change of role.
        """
        async with self._changing(viewer, user_id, Action.MEMBER_BLOCK) as change:
            record = change.record
            record.membership.blocked_at = record.membership.blocked_at or self._clock()
        return _member(record)

    async def unblock(self, viewer: Viewer, user_id: UUID) -> Member:
        """Unblock a member in the company.

        Raises:
            MemberNotFound, RoleTooLow: As for a change of role.
            RoleTooHighForKey, ScopeMissing: The viewer has an API key. A key unblocks members at most, and only people
                with no more rights than its own.
        """
        async with self._changing(viewer, user_id, Action.MEMBER_UNBLOCK) as change:
            record = change.record
            require_person_to_let_in(viewer, Role(record.membership.role))
            record.membership.blocked_at = None
        return _member(record)

    async def remove(self, viewer: Viewer, user_id: UUID) -> None:
        """Remove a member from the company, and revoke the member's keys of it.

        Raises:
            MemberNotFound, RoleTooLow, LastOwner: As for a change of role.
        """
        async with self._changing(viewer, user_id, Action.MEMBER_REMOVE) as change:
            await change.tx[CompanyRepository].remove_member(viewer.company_id, user_id)
            await revoke_keys_of(change.tx, viewer.company_id, user_id, self._clock())

    async def reset_second_factor(self, viewer: Viewer, user_id: UUID) -> None:
        """Forget a member's second factor, so that the member sets up another one.

        Raises:
            MemberNotFound: The company has no such member.
            RoleTooLow: The viewer is no owner.
            SecondFactorProtected: It is the viewer's own, an operator's, or that of a person of other companies too.
        """
        async with self._transaction() as tx:
            require_reach((await lock_company(tx, viewer)).role, Role.OWNER)
            if await tx[CompanyRepository].find_member(viewer.company_id, user_id) is None:
                raise MemberNotFound
            if user_id == viewer.user_id or await is_guarding_more(tx, user_id, viewer.company_id):
                raise SecondFactorProtected
            await reset_second_factor(tx, actor_of(viewer), self._clock, user_id)

    @asynccontextmanager
    async def _changing(self, viewer: Viewer, user_id: UUID, action: Action) -> AsyncIterator["_Change"]:
        """Yield the member for changes within the block; then do what all changes have in common."""
        async with self._transaction() as tx:
            own_role = (await lock_company(tx, viewer)).role
            record = await tx[CompanyRepository].find_member(viewer.company_id, user_id)
            if record is None:
                raise MemberNotFound
            require_reach(own_role, record.membership.role)
            before = _state(record.membership)
            yield _Change(tx, own_role, record)
            if before["role"] == Role.OWNER and not await tx[CompanyRepository].count_acting_owners(viewer.company_id):
                raise LastOwner
            after = None if action is Action.MEMBER_REMOVE else _state(record.membership)
            may_invite = after is not None and after["blocked_at"] is None
            roles = roles_up_to(record.membership.role) if may_invite else ()
            await tx[InviteRepository].revoke_beyond(viewer.company_id, user_id, roles, self._clock())
            await sessions.end_all(tx, user_id, self._clock())
            await record_action(
                tx,
                actor_of(viewer),
                action,
                targets={"user_id": user_id},
                before=before,
                after=after,
            )


class _Change(NamedTuple):
    """A change to a member, under the lock of the company."""

    tx: Transaction
    own_role: Role
    """The viewer's."""
    record: MemberRecord


def _state(membership: MembershipRow) -> dict[str, object]:
    return {"role": membership.role, "blocked_at": membership.blocked_at}


def _member(record: MemberRecord) -> Member:
    membership = record.membership
    return Member(
        user_id=membership.user_id,
        email=record.email,
        role=Role(membership.role),
        joined_at=membership.created_at,
        blocked_at=membership.blocked_at,
    )
