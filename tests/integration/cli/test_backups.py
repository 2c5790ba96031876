"""A backup of a database in use, brought back into an empty one: the same rows, and money that is right."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest

from b2b_chat.sandbox.postgres import MAJOR_VERSION, _binary, run_sql
from support.database.roles import AppUser
from support.database.world import World, open_world
from support.gateway.fake import fake_gateway
from support.processes.commands import clean_environ, run
from support.product.app import client_of, served_product

_TABLES = ("companies", "users", "memberships", "accounts", "ledger", "holds", "messages", "conversations", "api_keys")


@pytest.fixture
def on_path(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with PostgreSQL's programs in the server's own version."""
    environ = clean_environ(tmp_path)
    return environ | {"PATH": f"{_binary('pg_dump').parent}:{environ['PATH']}"}


async def called(*arguments: str | Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(run, *arguments, environ=environ)


async def content(world: World) -> dict[str, list[dict[str, Any]]]:
    tables = {table: await world.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in _TABLES}  # noqa: S608 - ours
    for row in tables["messages"]:
        del row["is_searchable"]  # a message gets there some time after it was stored
    return tables


def both(owner_url: str, database_url: str) -> dict[str, str]:
    return {"MIGRATIONS_DATABASE_URL": owner_url, "DATABASE_URL": database_url}


async def test_what_was_saved_comes_back_and_goes_on(
    owner_url: str,
    database_url: str,
    empty_database_url: str,
    app_user: AppUser,
    on_path: dict[str, str],
    tmp_path: Path,
) -> None:
    file = tmp_path / "chat.backup"
    async with (
        open_world(database_url) as world,
        fake_gateway() as gateway,
        served_product(database_url, gateway.url) as url,
    ):
        person = await world.person()
        async with client_of(url, person) as client:
            for _ in range(3):
                await client.ask()
            saved = await called("backup", file, environ=on_path | both(owner_url, database_url))
            then = await content(world)
            await client.ask()  # after the backup, and so not in it
    assert (saved.returncode, saved.stderr) == (0, "")
    assert file.stat().st_mode & 0o077 == 0

    restored_url = app_user.url(empty_database_url)
    there = on_path | both(empty_database_url, restored_url)
    restored = await called("restore", file, environ=there)
    assert (restored.returncode, restored.stderr) == (0, "")
    verified = await called("ledger", "verify", environ=there)
    assert (verified.returncode, verified.stdout) == (0, "The ledger is correct: every invariant holds.\n")
    migrated = await called("migrate", environ=there)
    assert migrated.returncode == 0, migrated.stderr

    async with open_world(empty_database_url) as world, fake_gateway() as gateway:
        assert await content(world) == then
        assert len(then["ledger"]) == 4  # a top-up and three charges
        async with served_product(restored_url, gateway.url) as url, client_of(url, person) as client:
            await client.ask()
        await world.check_books()


async def test_it_overwrites_neither_a_file_nor_a_database(
    owner_url: str, on_path: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "chat.backup"
    environ = on_path | {"DATABASE_URL": owner_url}
    assert (await called("backup", file, environ=environ)).returncode == 0
    again = await called("backup", file, environ=environ)
    assert (again.returncode, again.stderr) == (1, f"b2b-chat: {file} exists. Choose another name.\n")
    tables = run_sql(owner_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    refused = await called("restore", file, environ=environ)
    assert refused.returncode == 1
    assert "already exists" in refused.stderr
    assert run_sql(owner_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == tables


async def test_what_is_missing_is_reported_without_the_password(tmp_path: Path) -> None:
    address = {"DATABASE_URL": "postgresql://chat:canary-9d1@127.0.0.1:1/chat"}
    file = tmp_path / "chat.backup"
    without = await called("backup", file, environ=clean_environ(tmp_path, PATH="", **address))
    assert without.returncode == 1
    assert without.stderr.startswith("b2b-chat: pg_dump is not on PATH.")
    assert MAJOR_VERSION in without.stderr
    down = await called("backup", file, environ=clean_environ(tmp_path, PATH=str(_binary("pg_dump").parent), **address))
    assert down.returncode == 1
    assert "127.0.0.1" in down.stderr
    assert "canary" not in down.stderr + without.stderr
    assert not file.exists()
