"""Operators, and what they do to users; companies and credits have services of their own."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.kit.errors import Refusal
from b2b_chat.kit.pagination import Page, id_from_cursor
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import Actor
from b2b_chat.product.identity.api_keys import SHOWN_CHARACTERS, hash_api_key, new_api_key
from b2b_chat.product.identity.models import ApiKeyRow
from b2b_chat.product.operators.repository import UserRecord
from b2b_chat.product.operators.schemas import NewOperator, User, UserMembership
from b2b_chat.product.transactions import Transaction, TransactionFactory
from b2b_chat.product.vocabulary import Role

_KEY_NAME: Final = "operator"


class UserNotFound(Refusal):
    """There is no such user."""

    code, status = "user_not_found", 404
    message = "There is no user with this id or address."


class OperatorNotFound(Refusal):
    """There is no such operator."""

    code, status = "operator_not_found", 404
    message = "There is no operator with this address."


class Operators:
    """Who runs this installation. Operators are made and removed on its command line alone."""

    def __init__(self, transaction: TransactionFactory, *, clock: Clock = utc_now) -> None:
        self._transaction = transaction
        self._clock = clock

    async def create(self, actor: Actor, email: str) -> NewOperator:
        """Make the person with this address an operator, known before or not, and make a key for `/admin`.

        For one who is an operator already it makes one more key.
        """
        key = new_api_key()
        async with self._transaction() as tx:
            user_id = await tx.users.get_or_add(email.lower())
            is_new = await tx.operators.add(user_id)
            row = await tx.api_keys.add(
                ApiKeyRow(
                    company_id=None,
                    user_id=user_id,
                    name=_KEY_NAME,
                    prefix=key[:SHOWN_CHARACTERS],
                    key_hash=hash_api_key(key),
                    scopes=[],
                )
            )
            await tx.audit.record(
                actor,
                Action.OPERATOR_CREATE,
                targets={"user_id": user_id, "api_key_id": row.id},
                before={"is_operator": not is_new},
                after={"is_operator": True},
            )
        return NewOperator(user_id, key)

    async def remove(self, actor: Actor, email: str) -> None:
        """Make somebody an operator no longer, revoke the keys for `/admin`, and end the sessions.

        Raises:
            OperatorNotFound: Nobody with this address is one.
        """
        async with self._transaction() as tx:
            user_id = await tx.users.find_id_by_email(email.lower())
            if user_id is None or not await tx.operators.remove(user_id):
                raise OperatorNotFound
            await tx.api_keys.revoke_all_of(None, user_id, self._clock())
            await tx.sessions.revoke_all(user_id, self._clock())
            await tx.audit.record(
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
        """Users whose address contains a text, or who belong to a company, newest first."""
        async with self._transaction() as tx:
            records = await tx.operators.list_users(
                email_part=email_part, company_id=company_id, before=id_from_cursor(cursor), limit=limit + 1
            )
            users = await _users(tx, records[:limit])
        return Page(users, str(users[-1].id) if len(records) > limit else None)

    async def get(self, user_id: UUID) -> User:
        """One user.

        Raises:
            UserNotFound: There is no such user.
        """
        async with self._transaction() as tx:
            return await _user(tx, user_id)

    async def addresses(self, user_ids: Collection[UUID]) -> dict[UUID, str]:
        """The mail addresses of some people."""
        async with self._transaction() as tx:
            return await tx.users.list_addresses(user_ids)

    async def find_id(self, email: str) -> UUID:
        """The id of the user with this address.

        Raises:
            UserNotFound: There is no such user.
        """
        async with self._transaction() as tx:
            user_id = await tx.users.find_id_by_email(email.lower())
        if user_id is None:
            raise UserNotFound
        return user_id

    async def block(self, actor: Actor, user_id: UUID) -> User:
        """Let a user do nothing any more, with session or key, in any company.

        Raises:
            UserNotFound: There is no such user.
        """
        return await self._set_block(actor, Action.USER_BLOCK, user_id, self._clock())

    async def unblock(self, actor: Actor, user_id: UUID) -> User:
        """Let a user sign in again, and the user's keys be used.

        Raises:
            UserNotFound: There is no such user.
        """
        return await self._set_block(actor, Action.USER_UNBLOCK, user_id, None)

    async def _set_block(self, actor: Actor, action: Action, user_id: UUID, since: datetime | None) -> User:
        async with self._transaction() as tx:
            row = await tx.users.find_locked(user_id)
            if row is None:
                raise UserNotFound
            before = row.blocked_at
            row.blocked_at = since and (before or since)
            await tx.sessions.revoke_all(user_id, self._clock())
            await tx.audit.record(
                actor,
                action,
                targets={"user_id": user_id},
                before={"blocked_at": before},
                after={"blocked_at": row.blocked_at},
            )
            return await _user(tx, user_id)


async def _user(tx: Transaction, user_id: UUID) -> User:
    record = await tx.operators.find_user(user_id)
    if record is None:
        raise UserNotFound
    (user,) = await _users(tx, [record])
    return user


async def _users(tx: Transaction, records: Sequence[UserRecord]) -> list[User]:
    """Users as they are shown, with where they belong."""
    memberships: dict[UUID, list[UserMembership]] = {record.user.id: [] for record in records}
    for row, company_name in await tx.companies.list_memberships(memberships.keys()):
        shown = UserMembership(row.company_id, company_name, Role(row.role), row.blocked_at)
        memberships[row.user_id].append(shown)
    return [
        User(
            id=user.id,
            email=user.email,
            created_at=user.created_at,
            blocked_at=user.blocked_at,
            is_operator=operator is not None,
            memberships=memberships[user.id],
        )
        for user, operator in records
    ]
