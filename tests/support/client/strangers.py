"""Other people's clients, each in an environment with the versions of a lock, and what their programs say."""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from support.client.typescript import node, npm_install
from support.processes.programs import lacks

STRANGERS: Final = Path(__file__).parents[2] / "system/client/strangers"
_TIMEOUT_SECONDS: Final = 240


def installed_strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the installed clients and their programs, which all workers of a run share."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    folder = shared / "strangers"
    with (shared / "strangers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(STRANGERS, folder, ignore=shutil.ignore_patterns("node_modules"))
            _uv("venv", "--quiet", str(folder / "venv"))
            _uv("pip", "sync", "--quiet", f"--python={folder / 'venv'}", str(folder / "requirements.txt"))
            if _has_node():
                npm_install(folder / "node")
            (folder / "complete").touch()
    return folder


def problems_of(folder: Path, program: str, environ: Mapping[str, str]) -> dict[str, str | None]:
    """Run a program, and return what is wrong with each of its features."""
    return {each["feature"]: each["problem"] for each in said_by(folder, program, environ)}


def said_by(folder: Path, program: str, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Run a program, and return its lines of JSON."""
    if program.endswith(".mjs"):
        command = [node(), str(folder / "node" / program)]
    else:
        command = [str(folder / "venv/bin/python"), str(folder / "programs" / program)]
    done = subprocess.run(
        command,
        env={"PATH": os.environ.get("PATH", os.defpath), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _has_node() -> bool:
    try:
        node()
    except pytest.skip.Exception:
        return False  # the cells of node are skipped one by one, with how to install it
    return True


def _uv(*arguments: str) -> None:
    environ = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "UV_COMPILE_BYTECODE"}}
    done = subprocess.run(
        ["uv", *arguments], env=environ, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS
    )
    if done.returncode != 0:
        lacks(f"uv cannot install other people's clients: {done.stderr}")
