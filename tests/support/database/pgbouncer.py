"""Debian's PgBouncer before a test's database, with fewer connections to PostgreSQL than clients."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import psutil

from b2b_chat.sandbox.accounts import account_for_postgres
from support.http.serving import free_port
from support.processes.commands import until
from support.processes.programs import needed_tool

_SETTINGS: Final = """
[databases]
{database} = {where}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 500
logfile = {folder}/log
pidfile = {folder}/pid
"""


@contextmanager
def pgbouncer_for(database_url: str, folder: Path, *, pool_size: int) -> Iterator[str]:
    """The address of the same database through a PgBouncer in transaction mode with so many connections."""
    program, port = needed_tool("pgbouncer", package="pgbouncer"), free_port()
    name = urlsplit(database_url).path.strip("/")
    config = folder / "pgbouncer.ini"
    config.write_text(
        _SETTINGS.format(database=name, where=_keywords(database_url), port=port, pool_size=pool_size, folder=folder)
    )
    # It refuses to run as root, and PostgreSQL's socket is closed to everyone but its own account.
    account = account_for_postgres()
    if account is not None:
        account.own(folder)
    process = subprocess.Popen([program, "--quiet", str(config)], preexec_fn=account.become if account else None)  # noqa: PLW1509 - as `sandbox.processes.spawn`
    try:
        until(lambda: process.poll() is not None or _listens(process.pid, port))
        assert process.poll() is None, (folder / "log").read_text()
        yield f"postgresql://postgres@127.0.0.1:{port}/{name}"
    finally:
        process.terminate()
        process.wait(10)


def _listens(pid: int, port: int) -> bool:
    return any(each.laddr.port == port for each in psutil.Process(pid).net_connections())


def _keywords(url: str) -> str:
    """An address as PgBouncer writes it."""
    parts = urlsplit(url)
    found = {
        "host": parts.hostname or unquote(parse_qs(parts.query).get("host", ["127.0.0.1"])[0]),
        "port": str(parts.port or 5432),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "dbname": parts.path.strip("/"),
    }
    return " ".join(f"{name}='{value}'" for name, value in found.items() if value)
