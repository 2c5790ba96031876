"""The TypeScript client, built once for all tests of a run, and node to run programs against it."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from support.processes.programs import lacks, needed_tool

PACKAGE: Final = Path(__file__).parents[3] / "src/b2b_chat_client_ts"
_TIMEOUT_SECONDS: Final = 240


def node() -> str:
    """The path of node; without it the test is skipped, and fails in CI."""
    return needed_tool("node", "nodejs", package="nodejs")


def npm_install(folder: Path) -> None:
    """Install what a folder's lock names; without its registry the test is skipped, and fails in CI."""
    done = _npm(folder, "ci", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error")
    if done.returncode != 0:
        lacks(f"npm cannot install what {folder.name} needs: {done.stderr}")


def npm(folder: Path, *arguments: str) -> None:
    """Run npm in a folder."""
    done = _npm(folder, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def _npm(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [needed_tool("npm", package="npm"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )


def built_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built package, which all workers of a run share."""
    node()
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    folder = shared / "client_ts"
    with (shared / "client_ts.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "dist/index.js").exists():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("node_modules", "dist"))
            npm_install(folder)
            npm(folder, "run", "build")
    return folder


def run_node(
    *arguments: str | Path, environ: Mapping[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program of node to its end."""
    return subprocess.run(
        [node(), *map(str, arguments)],
        cwd=cwd,
        env={"PATH": os.environ.get("PATH", os.defpath), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )
