"""Alembic's entry point: which database, which tables."""

import asyncio
import os

import asyncpg
from alembic import context
from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from b2b_chat.kit.settings import SettingsError, load
from b2b_chat.product.schema import metadata
from b2b_chat.product.settings import MigrationSettings

# Two releases started at once must not migrate at once: the second waits here and then finds nothing to do.
_MIGRATION_LOCK = 7_234_981_650_112_233


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
    try:
        settings = load(MigrationSettings, os.environ)
    except SettingsError as error:
        raise SystemExit(str(error)) from None
    return round(settings.migration_lock_timeout_seconds * 1000)


async def _migrate() -> None:
    url = context.config.attributes.get("database_url") or os.environ.get("DATABASE_URL")
    if not url:
        raise SystemExit("Set DATABASE_URL to the database that is to be migrated, as postgresql://user@host/name.")
    dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
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
    async with engine.begin() as lock, engine.connect() as connection:
        await lock.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
        # Last, since a SELECT leaves its snapshot open, for whose end an index that is built concurrently would wait.
        await lock.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        await connection.run_sync(_run)
        await connection.commit()
    await engine.dispose()


asyncio.run(_migrate())
