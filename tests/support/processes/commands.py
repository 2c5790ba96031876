"""Run `b2b-chat` as a person does: in its own process, with a clean environment and free ports."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil

from b2b_chat.sandbox.processes import left_behind

COMMAND = [sys.executable, "-m", "b2b_chat.cli"]


def clean_environ(home: Path, **variables: str) -> dict[str, str]:
    """None of the developer's own settings; the variables by which coverage measures processes stay."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in {"PATH", "LANG", "PYTHONPATH"} or name.startswith("COV")
    }
    ports = dict.fromkeys(("PRODUCT_PORT", "GATEWAY_PORT", "OPENAI_SIMULATOR_PORT", "MAIL_CATCHER_PORT"), "0")
    return {**kept, "HOME": str(home), **ports, **variables}


def run(
    *arguments: str | Path, environ: dict[str, str], timeout_seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=timeout_seconds)


@contextmanager
def started(*arguments: str | Path, environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Start a command, its output in pipes, and kill it at the end if the test did not stop it."""
    command = [*COMMAND, *map(str, arguments)]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def addresses_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What `up --json` prints when it is ready."""
    line = output_of(process).readline()
    assert line, f"it ended before it was ready: {process.communicate()[1]}"
    addresses: dict[str, Any] = json.loads(line)
    return addresses


def output_of(process: subprocess.Popen[str]) -> IO[str]:
    """The stdout of a started command."""
    assert process.stdout is not None
    return process.stdout


def progress_of(process: subprocess.Popen[str]) -> IO[str]:
    """The stderr of a started command."""
    assert process.stderr is not None
    return process.stderr


def running_in(data_dir: Path) -> list[psutil.Process]:
    """The processes of a sandbox, zombies of killed parents aside: by its mark, and PostgreSQL by its folder."""
    by_mark = left_behind(str(data_dir))
    cluster = str(data_dir / "postgres" / "cluster")
    by_folder = [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "postgres" and cluster in (process.info["cmdline"] or [])
    ]
    return list({*by_mark, *by_folder})


def until(condition: Callable[[], bool], *, timeout_seconds: float = 30) -> None:
    """Return once the condition holds."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
