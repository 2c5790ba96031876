"""The API keys of operators: made, listed and revoked one by one."""

from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct

from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.kit.pagination import Page, id_from_cursor
from b2b_chat.kit.visible import VISIBLE, require_visible
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import Actor, operator_of
from b2b_chat.product.audit.service import record_action
from b2b_chat.product.identity import users
from b2b_chat.product.identity.operator_keys import (
    NewOperatorKey,
    OperatorKey,
    find_operator_key,
    issue_operator_key,
    list_operator_keys,
    operator_key_ids,
    revoke_operator_key,
)
from b2b_chat.product.operators.approvals import SecondOperatorRequired, is_approved
from b2b_chat.product.operators.repository import OperatorRepository
from b2b_chat.product.operators.service import OperatorNotFound
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.transactions import TransactionFactory
from b2b_chat.product.viewer import Viewer

LONGEST_DAYS: Final = 366
USUAL_DAYS: Final = 90


class OperatorKeyNotFound(Refusal):
    """No operator has such a key."""

    code, status = "api_key_not_found", 404
    param = "api_key_id"
    message = "No operator has an API key with this id, or more than one begins like this."


class OperatorKeyCreate(Struct, frozen=True, forbid_unknown_fields=True):
    """A key for `/admin` to be made; it acts in your name."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=VISIBLE)]
    expires_in_days: Annotated[int, Meta(ge=1, le=LONGEST_DAYS)] = USUAL_DAYS

    def __post_init__(self) -> None:
        require_visible("name", self.name)


class OperatorKeys:
    """Making, listing and revoking the keys with which programs call `/admin`."""

    def __init__(self, transaction: TransactionFactory, *, clock: Clock = utc_now) -> None:
        self._transaction = transaction
        self._clock = clock

    async def create(self, viewer: Viewer, wanted: OperatorKeyCreate) -> NewOperatorKey:
        """Make a key that acts for the viewer. It may look and block, but change neither credits nor keys."""
        expires_at = self._clock() + timedelta(days=wanted.expires_in_days)
        async with self._transaction() as tx:
            issued = await issue_operator_key(
                tx, user_id=viewer.user_id, name=wanted.name, expires_at=expires_at, made_in_shell=False
            )
            await record_action(
                tx,
                operator_of(viewer),
                Action.OPERATOR_KEY_CREATE,
                targets={"api_key_id": issued.api_key.id},
                after={"expires_at": expires_at},
            )
        return issued

    async def list_keys(self, *, cursor: str | None, limit: int) -> Page[OperatorKey]:
        """Return the keys of all operators, revoked ones too, newest first."""
        async with self._transaction() as tx:
            keys = await list_operator_keys(tx, None, before=id_from_cursor(cursor), limit=limit + 1)
        return Page(keys[:limit], str(keys[limit - 1].id) if len(keys) > limit else None)

    async def list_keys_of(self, email: str) -> list[OperatorKey]:
        """Return all keys of an operator, newest first.

        Raises:
            OperatorNotFound: No operator has this address.
        """
        async with self._transaction() as tx:
            user_id = await users.find_id(tx, email)
            if user_id is None or not await tx[OperatorRepository].is_operator(user_id):
                raise OperatorNotFound
            return await list_operator_keys(tx, user_id)

    async def find_id(self, name: str) -> UUID:
        """Return the id of the one operators' key that has this id, or is shown as beginning so.

        Raises:
            OperatorKeyNotFound: There is none, or more than one.
        """
        with suppress(ValueError):
            return UUID(name)
        async with self._transaction() as tx:
            found = await operator_key_ids(tx, name)
        if len(found) != 1:
            raise OperatorKeyNotFound
        return found[0]

    async def revoke(self, actor: Actor, api_key_id: UUID) -> None:
        """End a key for good. Revoking it again changes nothing.

        Raises:
            OperatorKeyNotFound: There is no such key.
            SecondOperatorRequired: It is another operator's, and no second one wants it yet.
        """
        async with self._transaction() as tx:
            key = await find_operator_key(tx, api_key_id)
            if key is None:
                raise OperatorKeyNotFound
            is_own = key.user_id == actor.user_id
            if is_own or await is_approved(tx, actor, Action.OPERATOR_KEY_REVOKE, api_key_id, self._clock()):
                await record_action(
                    tx,
                    actor,
                    Action.OPERATOR_KEY_REVOKE,
                    targets={"api_key_id": api_key_id, "user_id": key.user_id},
                    before={"revoked_at": key.revoked_at},
                    after={"revoked_at": await revoke_operator_key(tx, api_key_id, self._clock())},
                )
                return
        raise SecondOperatorRequired
