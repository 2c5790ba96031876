"""Two users of one database: the owner of the tables, who migrates them, and the user that product_api works as.

The ledger and the audit log are append-only by triggers, which their owner can drop. So product_api is not their owner:
its user reads and adds rows there, and nothing else.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from b2b_chat.kit.connections import Connection
from b2b_chat.kit.database import address_of, is_postgresql_url
from b2b_chat.kit.settings import Secret, load
from b2b_chat.product.database_settings import DatabaseSettings, MigrationSettings

APPEND_ONLY: Final = ("ledger", "audit_log")

NAME_APP_USER: Final = "SELECT set_config('b2b_chat.app_user', $1, true)"
GRANT: Final = """
    DO $$
    DECLARE
        app_user text := current_setting('b2b_chat.app_user');
        entry record;
    BEGIN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), app_user);
        FOR entry IN
            SELECT oid::regclass AS relation, relname, relkind FROM pg_class
            WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'S')
                AND pg_has_role(relowner, 'USAGE')
                -- What an extension brought has rights of its own.
                AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
        LOOP
            EXECUTE format('REVOKE ALL ON %s FROM %I', entry.relation, app_user);
            EXECUTE format(
                'GRANT %s ON %s %s TO %I',
                CASE
                    WHEN entry.relkind = 'S' THEN 'USAGE'
                    WHEN entry.relname = 'alembic_version' THEN 'SELECT'
                    WHEN entry.relname IN ('ledger', 'audit_log') THEN 'SELECT, INSERT'
                    ELSE 'SELECT, INSERT, UPDATE, DELETE'
                END,
                CASE WHEN entry.relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
                entry.relation,
                app_user
            );
        END LOOP;
    END $$
"""
"""Gives the user that `NAME_APP_USER` named its rights on every table that there is, in the same transaction.

It runs at the end of every migration, so a new table has its rights before the release that needs them starts.
"""

_MAY_REWRITE: Final = """
    SELECT relname FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relname = ANY ($1)
        AND (pg_has_role(relowner, 'MEMBER') OR has_table_privilege(oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER')
            OR has_any_column_privilege(oid, 'UPDATE'))
    ORDER BY relname
"""
_MAY_NOT_USE: Final = """
    SELECT relname FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
        AND NOT (
            has_table_privilege(oid, 'SELECT')
            AND (relname = 'alembic_version' OR has_table_privilege(oid, 'INSERT'))
            AND (
                relname = 'alembic_version' OR relname = ANY ($1)
                OR has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')
            )
        )
    ORDER BY relname
"""


class DatabaseOwner(NamedTuple):
    """The owner of a database, who migrates it, and the user that works on it afterwards."""

    url: str
    app_user: str | None
    """The user that gets its rights by the migration; None where the owner works on it too."""


class Rights(NamedTuple):
    """What a user may do too much, and too little."""

    may_rewrite: list[str]
    """Append-only tables that it could change."""
    may_not_use: list[str]
    """Tables that lack a right which product_api needs."""


async def read_rights(connection: Connection) -> Rights:
    """Read the rights of a connection's own user; nothing is tried."""
    return Rights(
        [row[0] for row in await connection.fetch(_MAY_REWRITE, APPEND_ONLY)],
        [row[0] for row in await connection.fetch(_MAY_NOT_USE, APPEND_ONLY)],
    )


def load_database_settings(environ: Mapping[str, str] = os.environ) -> DatabaseSettings:
    """Read the settings of a command that only works on the database.

    Raises:
        SettingsError: Variables are missing or wrong.
    """
    return load(DatabaseSettings, environ, check=lambda settings: address_problems(settings.database_url))


def load_owner(environ: Mapping[str, str] = os.environ) -> DatabaseOwner:
    """Read who owns the database: the user of MIGRATIONS_DATABASE_URL or, where it is not set, of DATABASE_URL.

    Raises:
        SettingsError: Variables are missing or wrong.
    """
    settings = load(MigrationSettings, environ, check=_problems)
    app_url = settings.database_url.reveal()
    if settings.migrations_database_url is None:
        return DatabaseOwner(app_url, None)
    url, app_user = settings.migrations_database_url.reveal(), address_of(app_url).user
    return DatabaseOwner(url, app_user if app_user != address_of(url).user else None)


def address_problems(url: Secret, name: str = "DATABASE_URL") -> Iterator[str]:
    """What is wrong with the address of a database, if anything."""
    if not is_postgresql_url(url.reveal()):
        yield f"{name} must be as postgresql://user:password@host:5432/name, with %40 for an @ in the password."


def _problems(settings: MigrationSettings) -> Iterator[str]:
    yield from address_problems(settings.database_url)
    if settings.migrations_database_url is None:
        return
    yield from address_problems(settings.migrations_database_url, "MIGRATIONS_DATABASE_URL")
    app_url = settings.database_url.reveal()
    if is_postgresql_url(app_url) and not address_of(app_url).user:
        yield "DATABASE_URL must name its user where MIGRATIONS_DATABASE_URL is set: that user gets its rights."
