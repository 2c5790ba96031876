"""Starts processes that never outlive us, stops them, and finds those of a killed run."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import psutil

from b2b_chat.sandbox.errors import SandboxError

MARK: Final = "B2B_CHAT_SANDBOX"
"""An environment variable that every process of a sandbox carries; its value is the sandbox's folder."""

_POLL_SECONDS: Final = 0.01
_LOG_TAIL_LINES: Final = 12
_LOG_TAIL_BYTES: Final = 8192
_PR_SET_PDEATHSIG: Final = 1


class Child:
    """A process that we started. It leads a session of its own, so a terminal's Ctrl-C reaches us and not it."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.pid = process.pid
        self.log = log
        self._process = process

    def is_running(self) -> bool:
        """Whether it still runs."""
        return self._process.returncode is None and not self._has_exited()

    def require_running(self) -> None:
        """Raise unless it runs.

        Raises:
            SandboxError: It has ended; the error shows the end of its log.
        """
        if not self.is_running():
            self.stop(kill_after_seconds=0)
            raise self._failure()

    def wait_until_done(self) -> None:
        """Wait until it ends by itself.

        Raises:
            SandboxError: It failed; the error shows the end of its log.
        """
        while self.is_running():
            time.sleep(_POLL_SECONDS)
        self.stop(kill_after_seconds=0)
        if self._process.returncode != 0:
            raise self._failure()

    def ask_to_stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal unless it has ended."""
        if self.is_running():
            os.kill(self.pid, by)

    def stop(self, *, kill_after_seconds: float) -> None:
        """Wait for its end, kill it if that takes too long, and end its own children too."""
        if self._process.returncode is not None:
            return
        deadline = time.monotonic() + kill_after_seconds
        while not self._has_exited() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        # Its number cannot be another process's until it is reaped: so the group is killed before.
        kill_group(self.pid)
        self._process.wait()

    def _failure(self) -> SandboxError:
        code = self._process.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return SandboxError(f"{self.name} {how}. The end of {self.log}:\n{log_tail(self.log)}")

    def _has_exited(self) -> bool:
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:  # `end` reaped it first
            return True


class Launcher:
    """The `uv run` that started us, if one did. It is no part of the sandbox, but people stop the sandbox with it."""

    def __init__(self) -> None:
        self._pid = os.getppid()
        try:
            self._is_uv = psutil.Process(self._pid).name() == "uv"
        except psutil.Error:
            self._is_uv = False

    def is_gone(self) -> bool:
        """Whether it was killed: it passes any other end on to us."""
        return self._is_uv and os.getppid() != self._pid


class FollowedFile:
    """A log that is read as it grows, a whole line at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0

    def read_new(self) -> str:
        """Return the lines written since the last call."""
        if self._path.stat().st_size == self._read_bytes:
            return ""
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            lines, end_of_line, _ = file.read().rpartition(b"\n")
        self._read_bytes += len(lines) + len(end_of_line)
        return lines.decode(errors="replace") + end_of_line.decode()


def our_command(name: str) -> list[str]:
    """Return the command line of `b2b-chat NAME` in this installation."""
    # -P: a file in the caller's folder must not be imported in place of a module.
    return [sys.executable, "-P", "-m", "b2b_chat.cli", name]


def spawn(
    name: str,
    command: Sequence[str | Path],
    *,
    environ: Mapping[str, str],
    log: Path,
    death_signal: signal.Signals = signal.SIGTERM,
    become: Callable[[], None] | None = None,
) -> Child:
    """Start a process with its output in the file `log`, which is emptied first.

    Call it from the main thread: where the system offers it (Linux), the process gets `death_signal` when the thread
    that started it ends, however that comes. `become` runs in the new process before the command does.

    Raises:
        SandboxError: The command cannot be run or the log not be written.
    """
    parent = os.getpid()

    def prepare() -> None:  # pragma: no cover - runs in the new process, before the command replaces it
        if become is not None:
            become()
        # After `become`: a change of the user resets it.
        _die_with(parent, death_signal)

    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environ),
                start_new_session=True,
                preexec_fn=prepare,  # noqa: PLW1509 - only prctl and the set*id calls; we start no threads before it
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise SandboxError(f"Cannot start {name} ({command[0]}, log {log}): {error}") from error
    return Child(name, process, log)


def log_tail(log: Path) -> str:
    """Return the last lines of a log, indented, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError as error:
        return f"  (cannot be read: {error.strerror})"
    return "\n".join(f"  {line}" for line in lines[-_LOG_TAIL_LINES:]) or "  (it is empty)"


def left_behind(mark: str) -> list[psutil.Process]:
    """Return the running processes with this mark, which a killed run of that sandbox left.

    The mark is in the process itself, so another program with a dead one's number is never mistaken for it.
    """
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                found.append(process)
        except psutil.Error:
            continue  # ended meanwhile, or another user's
    return found


def end(processes: Iterable[psutil.Process], *, by: signal.Signals, kill_after_seconds: float) -> None:
    """End processes that are not our children: send a signal, wait, kill the rest."""
    processes = list(processes)
    for process in processes:
        _send(process, by)
    _, stubborn = psutil.wait_procs(processes, timeout=kill_after_seconds)
    for process in stubborn:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=kill_after_seconds)


def kill_group(group: int) -> None:
    """Kill every process of a group, if there is one."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS: PermissionError where only a zombie is left
        return


def _send(process: psutil.Process, by: signal.Signals) -> None:
    try:
        process.send_signal(by)
    except psutil.NoSuchProcess:
        return


def _die_with(parent: int, death_signal: signal.Signals) -> None:  # pragma: no cover - as `prepare`
    """Ask the kernel for `death_signal` when the parent ends. Runs in the new process."""
    if sys.platform != "linux":
        return
    if _LIBC.prctl(_PR_SET_PDEATHSIG, death_signal.value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


# Loaded here and not in the new process, where loading would not be safe.
_LIBC = ctypes.CDLL(None, use_errno=True)
