"""The load generator and the upstream as processes of their own, and where everything that runs keeps its logs."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import httpx
import msgspec

from b2b_chat.sandbox.ports import free_ports
from b2b_chat.sandbox.processes import Child, log_tail, spawn
from bench.load import Load, Outcome

TESTS: Final = Path(__file__).parents[1]
_READY_SECONDS: Final = 90
_STOP_SECONDS: Final = 20
_READ_OUTCOME: Final = msgspec.json.Decoder(Outcome)


class Upstream(NamedTuple):
    """The simulated OpenAI of a benchmark."""

    url: str
    pid: int


def clean_environ(**variables: str) -> dict[str, str]:
    """Nothing of the caller's own settings."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "HOME"}}
    return {**kept, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **variables}


@contextmanager
def spawned(name: str, command: list[str], *, environ: Mapping[str, str], logs: Path) -> Iterator[Child]:
    """A process, its output in a file, ended at the end."""
    child = spawn(name, command, environ=environ, log=logs / f"{name}.log")
    try:
        yield child
    finally:
        child.ask_to_stop()
        child.stop(kill_after_seconds=_STOP_SECONDS)


def wait_until_answering(child: Child, url: str) -> None:
    """Return once something speaks HTTP there.

    Raises:
        SandboxError: The process has ended.
        TimeoutError: It does not answer.
    """
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        child.require_running()
        try:
            httpx.get(url, timeout=5, trust_env=False)
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{child.name} does not answer:\n{log_tail(child.log)}") from None
            time.sleep(0.05)
        else:
            return


@contextmanager
def running_upstream(logs: Path) -> Iterator[Upstream]:
    """The simulated OpenAI."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "bench.upstream", "--port", str(port)]
    with spawned("upstream", command, environ=clean_environ(PYTHONPATH=str(TESTS)), logs=logs) as child:
        wait_until_answering(child, url)
        yield Upstream(url, child.pid)


class Loader:
    """Hands loads to the load generator."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log

    def run(self, load: Load) -> Outcome:
        """Put a load on something and return what came of it.

        Raises:
            RuntimeError: The load generator has failed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(load) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load generator failed:\n{log_tail(self._log)}")
        return _READ_OUTCOME.decode(line)


@contextmanager
def running_loader(logs: Path) -> Iterator[Loader]:
    """The load generator."""
    log = logs / "load.log"
    environ = clean_environ(PYTHONPATH=str(TESTS))
    command = [sys.executable, "-m", "bench.load"]
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        try:
            yield Loader(process, log)
        finally:
            process.kill()


@contextmanager
def bench_folder() -> Iterator[Path]:
    """A temporary folder that PostgreSQL's user may enter. It stays where BENCH_KEEP is set."""
    folder = Path(tempfile.mkdtemp(prefix="b2b-bench-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        if "BENCH_KEEP" in os.environ:
            print(f"kept: {folder}")
        else:
            subprocess.run(["rm", "-rf", str(folder)], check=False)
