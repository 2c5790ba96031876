"""Alembic's entry point: which database, which tables."""

import asyncio
import os
from collections.abc import Callable
from typing import TypeVar

import asyncpg
from alembic import context
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from b2b_chat.kit.database import dsn_of
from b2b_chat.kit.settings import SettingsError, load
from b2b_chat.product.database_roles import GRANT, NAME_APP_USER, load_owner
from b2b_chat.product.database_settings import MigrationTimeouts
from b2b_chat.product.schema import metadata

ResultT = TypeVar("ResultT")

# Two releases started at once must not migrate at once: the second waits here and then finds nothing to do.
_MIGRATION_LOCK = 7_234_981_650_112_233
_LOCK_POLL_SECONDS = 0.2


def _run(connection: Connection) -> None:
    lock_timeout_ms = _lock_timeout_ms()

    @event.listens_for(connection, "begin")
    def wait_briefly(connection: Connection) -> None:
        # A statement that waits for a lock blocks all later ones, the product's too.
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {lock_timeout_ms}")

    context.configure(
        connection=connection, target_metadata=metadata(), compare_type=True, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


def _lock_timeout_ms() -> int:
    return round(_from_environment(lambda: load(MigrationTimeouts, os.environ)).migration_lock_timeout_seconds * 1000)


def _from_environment(read: Callable[[], ResultT]) -> ResultT:
    try:
        return read()
    except SettingsError as error:
        raise SystemExit(str(error)) from None


async def _has_lock(connection: AsyncConnection) -> bool:
    """Whether this release is the one to migrate; if not, another is at it.

    Neither the release that has the lock nor one that waits for it may keep a snapshot meanwhile: CREATE INDEX
    CONCURRENTLY waits for all older ones. A statement that waits for a lock has one, and so has the last SELECT of a
    transaction until another statement follows.
    """
    found = await connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({_MIGRATION_LOCK})")
    has_lock = bool(found.scalar_one())
    await connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
    return has_lock


async def _migrate() -> None:
    owner = context.config.attributes.get("owner") or _from_environment(load_owner)
    dsn = dsn_of(owner.url)
    engine = create_async_engine(
        "postgresql+asyncpg://",
        connect_args={
            # asyncpg reads the address itself: SQLAlchemy would not know `sslmode` in it.
            "async_creator_fn": lambda: asyncpg.connect(dsn, statement_cache_size=0),
            # The address may be PgBouncer's, where every transaction has another connection.
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: "",
        },
        poolclass=NullPool,
    )
    # For the same reason the lock is a transaction's, and not a session's.
    async with engine.connect() as lock, engine.connect() as connection:
        while not await _has_lock(lock):
            await lock.rollback()  # an index that has met the snapshot of the SELECT waits for this transaction's end
            await asyncio.sleep(_LOCK_POLL_SECONDS)
        await connection.run_sync(_run)
        await connection.commit()
        if owner.app_user is not None:
            await connection.exec_driver_sql(NAME_APP_USER, (owner.app_user,))
            await connection.exec_driver_sql(GRANT)
            await connection.commit()
    await engine.dispose()


asyncio.run(_migrate())
