"""What product_api needs before it can answer."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import asyncpg

from b2b_chat.contract.schemas import CONTRACT_VERSION
from b2b_chat.kit.database import Database, is_outage, is_statement_timeout
from b2b_chat.kit.health import Check, Readiness, draining_check
from b2b_chat.kit.valkey import Valkey
from b2b_chat.product.chat.gateway_client import GatewayClient, PingRefused
from b2b_chat.product.chat.service import Chat
from b2b_chat.product.schema import head
from b2b_chat.product.settings import ProductSettings

_PARTS: Final = {"stale_timestamp": "gateway_clock", "invalid_signature": "gateway_secret"}
"""The meaning of the gateway's refusals of a ping; it compares our clock with its own, as for every call."""


_NEEDS_ROOM: Final = """
    CREATE TEMPORARY TABLE room_is_left ON COMMIT DROP AS
    SELECT repeat('x', 1900) AS filler FROM generate_series(1, 64)
"""


def readiness_of(
    settings: ProductSettings, database: Database, valkey: Valkey | None, gateway: GatewayClient, chat: Chat
) -> Readiness:
    """Return the probe of an app's parts."""
    return Readiness(
        {
            "draining": draining_check(lambda: chat.is_draining),
            "database": database_check(database),
            "database_disk": disk_check(database, every_seconds=settings.readiness_write_every_seconds),
            **({} if valkey is None else {"valkey": valkey.check}),
            "gateway": gateway_check(gateway),
        },
        cache_seconds=settings.readiness_cache_seconds,
        timeout_seconds=settings.readiness_timeout_seconds,
    )


def database_check(database: Database, find_head: Callable[[], str] = head) -> Check:
    """Check that the database answers, and has every migration of this release."""
    head: str | None = None

    async def check() -> str | None:
        nonlocal head
        # Alembic reads files for it, once.
        head = head or await asyncio.to_thread(find_head)
        return None if await database.revision() == head else "migrations"

    return check


def disk_check(database: Database, *, every_seconds: float, now: Callable[[], float] = time.monotonic) -> Check:
    """Check that the database can still be written to, which costs more than reading and is asked less often."""
    good_until = -1.0

    async def check() -> str | None:
        nonlocal good_until
        if now() < good_until:
            return None
        try:
            has_room = await _has_room(database)
        except Exception as error:
            if not is_outage(error) or is_statement_timeout(error):  # a disk that hangs is as good as a full one
                raise
            return None  # a database that is away is told by its own check
        if not has_room:
            return "database_disk"
        good_until = now() + every_seconds
        return None

    return check


async def _has_room(database: Database) -> bool:
    """Whether the server has room on its disk for some more rows; without any it can still be read."""
    async with database.connection() as connection:
        try:
            async with connection.transaction():
                await connection.execute(_NEEDS_ROOM)
        except asyncpg.DiskFullError:
            return False
        except asyncpg.InsufficientPrivilegeError:  # an administrator took away the right to temporary tables
            return True
    return True


def gateway_check(gateway: GatewayClient) -> Check:
    """Check that the gateway is reached, accepts our signed calls, and has the contract version that we need."""

    async def check() -> str | None:
        try:
            ping = await gateway.ping()
        except PingRefused as refused:
            return _PARTS.get(refused.code, "gateway")
        return "gateway_outdated" if ping.contract < CONTRACT_VERSION else None

    return check
