"""Commands that back the database up and restore it, with PostgreSQL's own pg_dump and pg_restore."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import click

from b2b_chat.cli.failures import fail, needs, owner_explained, settings_explained

_PRIVATE: Final = 0o077
_VERSIONS: Final = "Its version must be the server's or newer: install postgresql-client-18, or your server's version."


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Save the database at DATABASE_URL to FILE.

    MIGRATIONS_DATABASE_URL, if set, names the owner, who does that.
    The database may be in use: the backup is a snapshot of one moment. FILE must not exist; only you can read it. It
    holds everything that people wrote, so protect it like the database.
    """
    if file.exists():
        fail(f"{file} exists. Choose another name.")
    unfinished = file.with_name(f"{file.name}.unfinished")
    os.umask(_PRIVATE)
    _run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", "--file", str(unfinished))
    unfinished.rename(file)
    click.echo(f"{file}: {file.stat().st_size} bytes")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Restore FILE into the database at DATABASE_URL.

    Where MIGRATIONS_DATABASE_URL is set, it names the owner, who does that, and the user of DATABASE_URL gets its
    rights. The database must exist and be empty. The restore is complete, or changes nothing. Check the money
    afterwards with b2b-chat ledger verify.
    """
    name = _connection()["PGDATABASE"]
    _run(
        "pg_restore",
        *("--dbname", name, "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"),
        str(file),
    )
    _give_rights()
    click.echo(f"Restored. {file} is in the database; now run: b2b-chat ledger verify")


def _give_rights() -> None:
    """Give the user of product_api its rights on the restored tables: a backup holds none."""
    with needs("product"), settings_explained(), owner_explained():
        from b2b_chat.product.database_roles import load_owner
        from b2b_chat.product.schema import grant_rights

        grant_rights(load_owner())


def _run(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on the database; its address goes by the environment, which no `ps` shows."""
    found = shutil.which(program)
    if found is None:
        fail(f"{program} is not on PATH. {_VERSIONS}")
    done = subprocess.run(  # noqa: S603 - a program of PostgreSQL, with arguments of ours
        [found, *arguments], env={**os.environ, **_connection()}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        hint = [_VERSIONS] if "version" in done.stderr else []
        fail(*done.stderr.strip().splitlines(), *hint)


def _connection() -> Mapping[str, str]:
    """Return the variables that lead PostgreSQL's programs to the database, as its owner."""
    with needs("product"), settings_explained():
        from b2b_chat.product.database_roles import load_owner

        url = urlsplit(load_owner().url)
    query = dict(parse_qsl(url.query))
    wanted = {
        "PGHOST": query.get("host") or url.hostname,
        "PGPORT": str(url.port) if url.port else query.get("port"),
        "PGUSER": unquote(url.username) if url.username else query.get("user"),
        "PGPASSWORD": unquote(url.password) if url.password else query.get("password"),
        "PGDATABASE": unquote(url.path.lstrip("/")),
        "PGSSLMODE": query.get("sslmode"),
        "PGSSLROOTCERT": query.get("sslrootcert"),
    }
    return {name: value for name, value in wanted.items() if value}


COMMANDS: Final = (backup, restore)
