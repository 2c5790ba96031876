"""The demo as a normal user. Only needed where the tests run as root; elsewhere every test shows it."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes.commands import clean_environ, running_in

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="all tests run as a normal user here")

NOBODY = "nobody"


def run_as_nobody(command: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    user = pwd.getpwnam(NOBODY)
    return subprocess.run(
        command,
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
        env=environ,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def home() -> Iterator[Path]:
    user = pwd.getpwnam(NOBODY)
    # pytest's own temporary folders are root's alone.
    folder = Path(tempfile.mkdtemp(prefix="b2b-chat-nobody-"))
    os.chown(folder, user.pw_uid, user.pw_gid)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def environ(home: Path) -> dict[str, str]:
    variables = clean_environ(home, PYTHONPATH=os.pathsep.join(filter(None, sys.path)), PYTHONDONTWRITEBYTECODE="1")
    return {name: value for name, value in variables.items() if not name.startswith("COV")}


@pytest.fixture
def python(environ: dict[str, str]) -> str:
    """A Python that this user can run, with everything this one has: ours, or the system's of the same version."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{version}"):
        probe = [candidate, "-c", "import b2b_chat.sandbox.stack, b2b_chat.product.app, b2b_chat.gateway.app"]
        try:
            if run_as_nobody(probe, environ).returncode == 0:
                return candidate
        except OSError:
            continue
    pytest.skip(f"user {NOBODY} can run no {version} that has our packages")


def test_a_normal_user_needs_no_right_but_her_own_folder(home: Path, environ: dict[str, str], python: str) -> None:
    for _ in range(2):
        done = run_as_nobody([python, "-m", "b2b_chat.cli", "demo"], environ)
        assert done.returncode == 0, done.stderr
        assert "charged 0 credits" in done.stdout
    data_dir = home / ".local" / "share" / "b2b-chat"
    assert {path.owner() for path in [data_dir, *data_dir.iterdir()]} == {NOBODY}
    assert running_in(data_dir) == []


def test_a_folder_of_roots_is_reported(environ: dict[str, str], python: str) -> None:
    done = run_as_nobody([python, "-m", "b2b_chat.cli", "up", "--data-dir", "/root/data"], environ)
    assert done.returncode == 1
    assert done.stderr.startswith("b2b-chat: Cannot use the data folder /root/data: Permission denied. ")
    done = run_as_nobody([python, "-m", "b2b_chat.cli", "up", "--data-dir", "/usr"], environ)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "b2b-chat: /usr belongs to another user (uid 0). Name your own with --data-dir.\n"
