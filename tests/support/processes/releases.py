"""Other states of this project's tree to run commands from: a copy with a change, or the previous release."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

from b2b_chat.product.schema import head, migrations_folder

TREE: Final = migrations_folder().parent


class Release:
    """A tree with `src` and `migrations`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def python_path(self) -> str:
        """What makes Python take this tree's code, before the one that is installed."""
        return str(self.folder / "src")

    def run(self, *arguments: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run `b2b-chat` of this tree to its end."""
        return subprocess.run(
            [sys.executable, "-m", "b2b_chat.cli", *arguments],
            env={"PATH": os.environ["PATH"], **environ, "PYTHONPATH": self.python_path},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def plant(self, file: str, old: str, new: str) -> None:
        """Change a file of it, where a text is that must be there."""
        path = self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))


def copied(folder: Path) -> Release:
    """A copy of this tree."""
    for name in ("src", "migrations"):
        shutil.copytree(TREE / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return Release(folder)


def before_newest_migration(folder: Path) -> Release | None:
    """The last tree that had all of today's migrations but the newest; None where git knows none."""
    (newest,) = migrations_folder().glob(f"versions/{head()}_*.py")
    versions = newest.parent.relative_to(TREE)
    wanted = {path.name for path in newest.parent.glob("*.py")} - {newest.name}
    for commit in _git("rev-list", "--topo-order", "HEAD").decode().split():
        names = _git("ls-tree", "--name-only", f"{commit}:{versions}").decode().split()
        if set(names) == wanted:  # and not some of another branch beside them
            with tarfile.open(fileobj=io.BytesIO(_git("archive", commit, "src", "migrations"))) as tar:
                tar.extractall(folder, filter="data")
            return Release(folder)
    return None


def _git(*arguments: str) -> bytes:
    """What git prints; nothing where it fails, as in a tree without history."""
    try:
        done = subprocess.run(["git", *arguments], cwd=TREE, capture_output=True, check=False)
    except FileNotFoundError:
        return b""
    return done.stdout if done.returncode == 0 else b""
