"""Users, for the use cases of other domains: each function works within the caller's transaction."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from b2b_chat.product.identity.addresses import canonical
from b2b_chat.product.identity.repository.users import UserRepository
from b2b_chat.product.transactions import Transaction


class BlockChange(NamedTuple):
    """Since when a user was blocked before a change, and since when after it; None where not blocked."""

    before: datetime | None
    after: datetime | None


async def get_or_add(tx: Transaction, email: str) -> UUID:
    """Return the id of the user with this address, who is added if unknown, however many callers do so at once.

    Raises:
        AddressNotSupported: No mail can be sent to it.
    """
    return await tx[UserRepository].get_or_add(canonical(email))


async def find_id(tx: Transaction, email: str) -> UUID | None:
    """Return the id of the user with this address, if there is one.

    Raises:
        AddressNotSupported: No mail can be sent to it.
    """
    return await tx[UserRepository].find_id_by_email(canonical(email))


async def address_of(tx: Transaction, user_id: UUID) -> str:
    """Return the address of a user who is known to exist."""
    return (await tx[UserRepository].get(user_id)).email


async def addresses_of(tx: Transaction, user_ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the addresses of some users by their ids."""
    return await tx[UserRepository].list_addresses(user_ids)


async def stays_unblocked(tx: Transaction, user_id: UUID) -> bool:
    """Return whether a user is not blocked; if so, the user stays unblocked until the transaction ends."""
    return await tx[UserRepository].lock_unblocked(user_id)


async def set_block(tx: Transaction, user_id: UUID, since: datetime | None) -> BlockChange | None:
    """Block or unblock a user; one who is blocked already keeps the time of the first block.

    Returns None where there is no such user.
    """
    row = await tx[UserRepository].find_locked(user_id)
    if row is None:
        return None
    before = row.blocked_at
    row.blocked_at = since and (before or since)
    return BlockChange(before, row.blocked_at)
