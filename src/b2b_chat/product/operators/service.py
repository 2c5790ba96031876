"""Operators, and their actions on users; companies and credits have their own services."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.kit.pagination import Page, id_from_cursor
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import Actor
from b2b_chat.product.audit.service import record_action
from b2b_chat.product.companies.invites import revoke_invites_of
from b2b_chat.product.companies.members import memberships_of
from b2b_chat.product.identity import sessions, users
from b2b_chat.product.identity.addresses import searched
from b2b_chat.product.identity.api_keys import revoke_keys_of
from b2b_chat.product.identity.operator_keys import issue_operator_key
from b2b_chat.product.operators.approvals import SecondOperatorRequired, is_approved
from b2b_chat.product.operators.repository import OperatorRepository, UserRecord
from b2b_chat.product.operators.schemas import NewOperator, User, UserMembership
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.second_factor.service import SecondFactorProtected, is_guarding_more, reset_second_factor
from b2b_chat.product.transactions import Transaction, TransactionFactory


class UserNotFound(Refusal):
    """There is no such user."""

    code, status = "user_not_found", 404
    param = "user_id"
    message = "There is no user with this id or address."


class OperatorNotFound(Refusal):
    """There is no such operator."""

    code, status = "operator_not_found", 404
    message = "There is no operator with this address."


class Operators:
    """The operators of this installation. They are made and removed on its command line alone."""

    def __init__(self, transaction: TransactionFactory, *, clock: Clock = utc_now) -> None:
        self._transaction = transaction
        self._clock = clock

    async def create(self, actor: Actor, email: str, *, expires_in_days: int) -> NewOperator:
        """Make the person with this address an operator, known before or not, and make a key for `/admin`.

        An operator gets one more key. The key counts as made in a shell, and may do everything.
        """
        expires_at = self._clock() + timedelta(days=expires_in_days)
        async with self._transaction() as tx:
            user_id = await users.get_or_add(tx, email)
            is_new = await tx[OperatorRepository].add(user_id)
            issued = await issue_operator_key(
                tx, user_id=user_id, name="operator", expires_at=expires_at, made_in_shell=True
            )
            await record_action(
                tx,
                actor,
                Action.OPERATOR_CREATE,
                targets={"user_id": user_id, "api_key_id": issued.api_key.id},
                before={"is_operator": not is_new},
                after={"is_operator": True, "expires_at": expires_at},
            )
        return NewOperator(user_id, issued.key)

    async def remove(self, actor: Actor, email: str) -> None:
        """Remove an operator, revoke their keys for `/admin`, and end their sessions.

        Raises:
            OperatorNotFound: No operator has this address.
        """
        async with self._transaction() as tx:
            user_id = await users.find_id(tx, email)
            if user_id is None or not await tx[OperatorRepository].remove(user_id):
                raise OperatorNotFound
            await revoke_keys_of(tx, None, user_id, self._clock())
            await sessions.end_all(tx, user_id, self._clock())
            await record_action(
                tx,
                actor,
                Action.OPERATOR_REMOVE,
                targets={"user_id": user_id},
                before={"is_operator": True},
                after={"is_operator": False},
            )


class Users:
    """The people of this installation, as operators see them."""

    def __init__(self, transaction: TransactionFactory, *, clock: Clock = utc_now) -> None:
        self._transaction = transaction
        self._clock = clock

    async def search(
        self, email_part: str | None, company_id: UUID | None, *, cursor: str | None, limit: int
    ) -> Page[User]:
        """Return users whose address contains a text, or who belong to a company, newest first."""
        part = None if email_part is None else searched(email_part)
        async with self._transaction() as tx:
            records = await tx[OperatorRepository].list_users(
                email_part=part, company_id=company_id, before=id_from_cursor(cursor), limit=limit + 1
            )
            users = await _users(tx, records[:limit])
        return Page(users, str(users[-1].id) if len(records) > limit else None)

    async def get(self, user_id: UUID) -> User:
        """Return one user.

        Raises:
            UserNotFound: There is no such user.
        """
        async with self._transaction() as tx:
            return await _user(tx, user_id)

    async def addresses(self, user_ids: Collection[UUID]) -> dict[UUID, str]:
        """Return the mail addresses of some people."""
        async with self._transaction() as tx:
            return await users.addresses_of(tx, user_ids)

    async def find_id(self, email: str) -> UUID:
        """Return the id of the user with this address.

        Raises:
            UserNotFound: There is no such user.
        """
        async with self._transaction() as tx:
            user_id = await users.find_id(tx, email)
        if user_id is None:
            raise UserNotFound
        return user_id

    async def block(self, actor: Actor, user_id: UUID) -> User:
        """Let a user do nothing any more, with session or key, in any company, and revoke the invites that they sent.

        Raises:
            UserNotFound: There is no such user.
            SecondOperatorRequired: The user is another operator, and no second one wants it yet.
        """
        return await self._set_block(actor, Action.USER_BLOCK, user_id, self._clock())

    async def unblock(self, actor: Actor, user_id: UUID) -> User:
        """Let a user sign in again, and the user's keys be used.

        Raises:
            UserNotFound: There is no such user.
            SecondOperatorRequired: The user is another operator, and no second one wants it yet.
        """
        return await self._set_block(actor, Action.USER_UNBLOCK, user_id, None)

    async def reset_second_factor(self, actor: Actor, user_id: UUID) -> None:
        """Forget a person's second factor, so that the person sets up another one.

        Raises:
            UserNotFound: There is no such user.
            SecondFactorProtected: It is an operator's, and the actor is no shell.
        """
        async with self._transaction() as tx:
            if await tx[OperatorRepository].find_user(user_id) is None:
                raise UserNotFound
            if actor.kind != "command_line" and await is_guarding_more(tx, user_id, None):
                raise SecondFactorProtected
            await reset_second_factor(tx, actor, self._clock, user_id)

    async def _set_block(self, actor: Actor, action: Action, user_id: UUID, since: datetime | None) -> User:
        async with self._transaction() as tx:
            is_theirs = user_id == actor.user_id or not await tx[OperatorRepository].is_operator(user_id)
            approved = is_theirs or await is_approved(tx, actor, action, user_id, self._clock())
            if approved:
                return await self._change_block(tx, actor, action, user_id, since)
        # Refused only now: what the first operator wants is kept when the transaction is committed.
        raise SecondOperatorRequired

    async def _change_block(
        self, tx: Transaction, actor: Actor, action: Action, user_id: UUID, since: datetime | None
    ) -> User:
        change = await users.set_block(tx, user_id, since)
        if change is None:
            raise UserNotFound
        await sessions.end_all(tx, user_id, self._clock())
        if since is not None:
            await revoke_invites_of(tx, user_id, since)
        await record_action(
            tx,
            actor,
            action,
            targets={"user_id": user_id},
            before={"blocked_at": change.before},
            after={"blocked_at": change.after},
        )
        return await _user(tx, user_id)


async def _user(tx: Transaction, user_id: UUID) -> User:
    record = await tx[OperatorRepository].find_user(user_id)
    if record is None:
        raise UserNotFound
    (user,) = await _users(tx, [record])
    return user


async def _users(tx: Transaction, records: Sequence[UserRecord]) -> list[User]:
    """Users as they are shown, with where they belong."""
    memberships: dict[UUID, list[UserMembership]] = {record.id: [] for record in records}
    for each in await memberships_of(tx, memberships.keys()):
        shown = UserMembership(each.company_id, each.company_name, each.role, each.blocked_at)
        memberships[each.user_id].append(shown)
    return [
        User(
            id=record.id,
            email=record.email,
            created_at=record.created_at,
            blocked_at=record.blocked_at,
            is_operator=record.is_operator,
            memberships=memberships[record.id],
        )
        for record in records
    ]
