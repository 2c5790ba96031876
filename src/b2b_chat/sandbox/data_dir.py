"""The one folder that a sandbox lives in: its database, secrets, API key and logs, locked while in use."""

import fcntl
import json
import os
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import platformdirs

from b2b_chat.sandbox.errors import SandboxError

SECRET_NAMES: Final = ("GATEWAY_SHARED_SECRET", "SESSION_SECRET", "AUTH_TOKEN_SECRET", "INVITE_TOKEN_SECRET")

_SECRET_BYTES: Final = 32
_LOCK_SECONDS: Final = 3
"""How long to wait for an earlier run that is stopping."""
_POLL_SECONDS: Final = 0.05
_NEEDED_BYTES: Final = 128 * 1024 * 1024
"""A new database needs about 50 MB, and its write-ahead log 16 MB at a time."""


def default_path() -> Path:
    """Return the default folder, in the user's data home."""
    return platformdirs.user_data_path("b2b-chat", appauthor=False)


class DataDir:
    """A sandbox's folder. Nothing in it is read or written before `open`."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.postgres = self.path / "postgres"
        self.valkey = self.path / "valkey"
        self._lock: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether this run has locked it."""
        return self._lock is not None

    def open(self) -> None:
        """Create the folder if it is missing, and lock it for this run.

        Raises:
            SandboxError: It is not writable, its disk is full, it is another user's, or another run has locked it.
        """
        try:
            # The mode is for a new folder: the user decides who may read an existing one.
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if (owner := self.path.stat().st_uid) != os.geteuid():
                raise SandboxError(f"{self.path} belongs to another user (uid {owner}). Name your own with --data-dir.")
            self._take()
            (self.path / "logs").mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            self.close()
            raise SandboxError(
                f"Cannot use the data folder {self.path}: {error.strerror}. Name a writable one with --data-dir."
            ) from error
        free_bytes = shutil.disk_usage(self.path).free
        if free_bytes < _NEEDED_BYTES:
            self.close()
            raise SandboxError(
                f"The disk of {self.path} is full: {free_bytes // 2**20} MB are free and {_NEEDED_BYTES // 2**20} MB "
                "needed. Make room, or name a folder elsewhere by --data-dir."
            )

    def close(self) -> None:
        """Unlock it for other runs."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def log(self, name: str) -> Path:
        """The log file of one process."""
        return self.path / "logs" / f"{name}.log"

    def secrets(self) -> dict[str, str]:
        """This sandbox's secrets by variable name; created by the first call, then always the same."""
        file = self.path / "secrets.json"
        kept = json.loads(file.read_text()) if file.exists() else {}
        missing = {name: secrets.token_hex(_SECRET_BYTES) for name in SECRET_NAMES if name not in kept}
        if missing:
            _write_private(file, json.dumps(kept | missing, indent=2) + "\n")
        return kept | missing

    def api_key(self) -> str | None:
        """The API key that an earlier run left, if any."""
        with suppress(FileNotFoundError):
            return (self.path / "api_key").read_text().strip()
        return None

    def keep_api_key(self, api_key: str) -> None:
        """Remember the API key for the next runs."""
        _write_private(self.path / "api_key", api_key + "\n")

    def _take(self) -> None:
        # The kernel releases the lock when we end, however we end; child processes do not inherit it.
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _locks(self._lock):
            if time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
                continue
            pid = os.read(self._lock, 20).decode() or "unknown"
            self.close()
            raise SandboxError(
                f"Another b2b-chat (process {pid}) is running on {self.path}. "
                "Stop it, or name another folder by --data-dir."
            )
        os.truncate(self._lock, 0)
        os.write(self._lock, str(os.getpid()).encode())


def _locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read, whole or not at all."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
