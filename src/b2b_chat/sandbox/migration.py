"""Brings the sandbox's database up to date, and saves a second when it is already."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import b2b_chat
from b2b_chat.sandbox.errors import SandboxError
from b2b_chat.sandbox.postgres import run_sql
from b2b_chat.sandbox.processes import our_command, spawn


def is_up_to_date(database_url: str, stamp: Path) -> bool:
    """Return whether the database is as the last `migrate` with this stamp left it, and no migration changed since."""
    try:
        return stamp.read_text() == _state(database_url)
    except (FileNotFoundError, SandboxError):
        return False  # never migrated, or the database is a new one


def migrate(database_url: str, stamp: Path, *, environ: Mapping[str, str], log: Path) -> None:
    """Apply the missing migrations in a process of its own, and record in `stamp` that it was done.

    Raises:
        SandboxError: It failed; the error shows the end of the log.
    """
    spawn("The migration", our_command("migrate"), environ=environ, log=log).wait_until_done()
    stamp.write_text(_state(database_url))


def _state(database_url: str) -> str:
    """Return a digest of the migrations, and the database's revision."""
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in _migration_files())).hexdigest()
    revision = run_sql(database_url, "SELECT version_num FROM alembic_version")
    return f"{digest} {revision}"


def _migration_files() -> list[Path]:
    # As product.schema finds them, without its second of imports.
    package = Path(b2b_chat.__file__).parent
    installed = package / "migrations"
    folder = installed if installed.is_dir() else package.parents[1] / "migrations"
    return sorted(folder.glob("versions/*.py"))
