"""product_api works as a user who adds to the ledger and the audit log, and can neither change nor unguard them."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from b2b_chat.kit.settings import SettingsError
from b2b_chat.product.database_roles import DatabaseOwner, load_owner, read_rights
from b2b_chat.product.schema import TABLES, upgrade_to_head
from b2b_chat.sandbox.postgres import run_sql
from support.database.roles import AppUser
from support.database.world import World
from support.processes.commands import run

_APPEND_ONLY = ("ledger", "audit_log")
_CHANGES = (
    "UPDATE {table} SET company_id = company_id",
    "DELETE FROM {table}",
    "TRUNCATE {table}",
    "DROP TABLE {table}",
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "ALTER TABLE {table} RENAME TO away",
    "DROP TRIGGER {table}_is_append_only_update ON {table}",
    "CREATE TRIGGER another BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION forbid_change()",
    "BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
)
_ELSEWHERE = (
    "CREATE OR REPLACE FUNCTION forbid_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "DROP FUNCTION forbid_change() CASCADE",
    "SET session_replication_role = replica",
    "CREATE TABLE ledger_of_mine ()",
    "UPDATE alembic_version SET version_num = 'none'",
    "ALTER TABLE messages ADD COLUMN planted int",
    "CREATE ROLE another",
    "COPY (SELECT 1) TO PROGRAM 'true'",
)


@pytest.mark.parametrize("table", _APPEND_ONLY)
@pytest.mark.parametrize("change", _CHANGES)
async def test_what_is_append_only_stays_so_for_the_user_of_product_api(
    database_url: str, world: World, table: str, change: str
) -> None:
    await world.person()
    connection = await asyncpg.connect(database_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(change.format(table=table))
    finally:
        await connection.close()


@pytest.mark.parametrize("change", _ELSEWHERE)
async def test_nor_by_a_way_round(database_url: str, change: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(change)
    finally:
        await connection.close()


async def test_the_user_may_use_every_table(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        assert await read_rights(connection) == ([], [])
        for table in TABLES:
            await connection.fetch(f"SELECT FROM {table.__tablename__} LIMIT 1")
    finally:
        await connection.close()


async def test_a_table_of_a_later_migration_gets_its_rights_by_itself(
    empty_database_url: str, app_user: AppUser
) -> None:
    owner = DatabaseOwner(empty_database_url, app_user.name)
    await asyncio.to_thread(upgrade_to_head, owner)
    run_sql(empty_database_url, "CREATE TABLE later (id bigserial PRIMARY KEY)")
    connection = await asyncpg.connect(app_user.url(empty_database_url))
    try:
        assert (await read_rights(connection)).may_not_use == ["later"]
        await asyncio.to_thread(upgrade_to_head, owner)
        assert await read_rights(connection) == ([], [])
        await connection.execute("INSERT INTO later DEFAULT VALUES")  # its sequence too
        run_sql(empty_database_url, f"GRANT ALL ON ledger TO {app_user.name}")
        await asyncio.to_thread(upgrade_to_head, owner)
        assert await read_rights(connection) == ([], [])
    finally:
        await connection.close()


@pytest.fixture
def later_user(postgres_url: str) -> Iterator[AppUser]:
    """A user that an administrator has not created yet."""
    yield AppUser("b2b_chat_later", "a-password")
    run_sql(postgres_url, "DROP ROLE IF EXISTS b2b_chat_later")


def test_a_user_that_does_not_exist_is_named_with_what_to_do(empty_database_url: str, later_user: AppUser) -> None:
    environ = {"MIGRATIONS_DATABASE_URL": empty_database_url, "DATABASE_URL": later_user.url(empty_database_url)}
    refused = run("migrate", environ=environ)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("b2b-chat: the user of DATABASE_URL does not exist yet. Create it")
    run_sql(empty_database_url, f"CREATE ROLE {later_user.name} LOGIN PASSWORD '{later_user.password}'")
    assert run("migrate", environ=environ).stderr == ""
    created = run("company-create", "Acme", "--owner", "anna@example.test", environ=environ)
    assert created.returncode == 0, created.stderr
    run_sql(empty_database_url, f"DROP OWNED BY {later_user.name}")


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({}, "DATABASE_URL"),
        ({"MIGRATIONS_DATABASE_URL": "postgresql://owner@db/x"}, "DATABASE_URL"),
        ({"MIGRATIONS_DATABASE_URL": "mysql://db/x", "DATABASE_URL": "postgresql://a@db/x"}, "MIGRATIONS_DATABASE_URL"),
        ({"MIGRATIONS_DATABASE_URL": "postgresql://owner@db/x", "DATABASE_URL": "postgresql://db/x"}, "DATABASE_URL"),
    ],
)
def test_settings_that_do_not_say_who_gets_the_rights(environ: dict[str, str], variable: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_owner(environ)
    assert str(raised.value).startswith(f"{variable} ")


def test_one_user_for_both_gets_nothing_more() -> None:
    url = "postgresql://one@db/x"
    assert load_owner({"DATABASE_URL": url}) == (url, None)
    assert load_owner({"DATABASE_URL": url, "MIGRATIONS_DATABASE_URL": url}) == (url, None)
    two = {"DATABASE_URL": "postgresql://app@pooler/x", "MIGRATIONS_DATABASE_URL": "postgresql://owner@db/x"}
    assert load_owner(two) == ("postgresql://owner@db/x", "app")
