"""The test's own Docker engine in its own namespaces, so that `compose.yaml` runs unchanged.

The engine and Compose are Debian's, in a root that debootstrap makes. Its network is not this machine's: it gets out by
slirp4netns, and ports that are published are reached by `Engine.curl`. When its first process ends, all of it ends.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil

from support.images.containers import debootstrap
from support.processes.commands import until
from support.processes.programs import needed_tool
from support.processes.project_files import copy_project

PROJECT: Final = "/project"
_ENVIRON: Final = {"HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
_START: Final = """
set -e
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
for folder in run tmp; do mount -t tmpfs tmpfs $folder; done
ip link set lo up
pivot_root . old
exec chroot . sh -c '
    umount -l /old
    exec dockerd --host unix:///run/docker.sock --data-root /data --cgroup-parent "/$0"
' "$2"
"""
"""A chroot would not do: `docker exec` would find itself in the root around it."""
_CGROUP: Final = "b2b-chat-engine"
"""The test's own, so that removing it in the end harms no other."""
_READY_SECONDS: Final = 60
_COMMAND_SECONDS: Final = 900


class Engine:
    """A running engine.

    Args:
        root: Where it lives; the project's files are below.
        process: What it was started by.
    """

    def __init__(self, root: Path, process: subprocess.Popen[bytes]) -> None:
        self.root = root
        self._process = process

    @property
    def first(self) -> int:
        """The process that is number 1 within."""
        (first,) = psutil.Process(self._process.pid).children()
        return first.pid

    def docker(self, *arguments: str, stdin: bytes = b"", **environ: str) -> str:
        """Run `docker` in the project's folder, as a person would at the shell; what it prints on stdout."""
        done = self.try_docker(*arguments, stdin=stdin, **environ)
        assert done.returncode == 0, (arguments, done.stdout[-2000:], done.stderr[-4000:])
        return done.stdout.decode()

    def try_docker(self, *arguments: str, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[bytes]:
        """The same where it may fail."""
        given = [f"{name}={value}" for name, value in {**_ENVIRON, **environ}.items()]
        command = [*self._enter("--mount", "--pid"), "env", "-i", f"--chdir={PROJECT}", *given, "docker", *arguments]
        return subprocess.run(command, check=False, capture_output=True, input=stdin, timeout=_COMMAND_SECONDS)

    def curl(self, *arguments: str) -> str:
        """Run `curl` where the engine publishes its ports; what it prints."""
        curl = [needed_tool("curl", package="curl"), "--silent", "--show-error", "--max-time", "60", *arguments]
        done = subprocess.run([*self._enter(), *curl], check=False, capture_output=True, text=True)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def curl_json(self, *arguments: str) -> Any:
        """The same, of an answer that is JSON."""
        return json.loads(self.curl(*arguments))

    def load(self, archive: Path) -> None:
        """Take the images of an archive."""
        self.docker("load", stdin=archive.read_bytes())

    def build_stand_in(self, folder: Path) -> str:
        """Build what stands in for an image that cannot be had here; its name."""
        name = f"stand-in/{folder.name}"
        shutil.copytree(folder, self.root / "stand_ins" / folder.name)
        self.docker("build", "--quiet", "--tag", name, f"/stand_ins/{folder.name}")
        return name

    def _enter(self, *namespaces: str) -> list[str]:
        return ["nsenter", f"--target={self.first}", "--net", *namespaces, "--"]


@contextmanager
def engine(home: Path) -> Iterator[Engine]:
    """Start an engine in a folder, which keeps the programs for the next time and nothing else."""
    root = home / "engine"
    if not (root / "usr/sbin/dockerd").exists():
        debootstrap(root, "docker.io", "docker-cli", "docker-compose", "iptables", "ca-certificates")
    _clear(root)
    (root / "old").mkdir(exist_ok=True)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    copy_project(root / PROJECT.strip("/"))
    slirp = needed_tool("slirp4netns", package="slirp4netns")
    namespaces = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--propagation", "private"]
    with (home / "engine.log").open("wb") as log:
        process = subprocess.Popen([*namespaces, "sh", "-c", _START, "sh", root, _CGROUP], stdout=log, stderr=log)
        try:
            until(lambda: process.poll() is not None or bool(psutil.Process(process.pid).children()))
            running = Engine(root, process)
            with subprocess.Popen(
                [slirp, "--configure", "--mtu=65520", "--disable-host-loopback", str(running.first), "tap0"],
                stdout=log,
                stderr=log,
            ) as network:
                try:
                    _wait_until_ready(running, home / "engine.log")
                    yield running
                finally:
                    network.terminate()
                    os.kill(running.first, signal.SIGTERM)  # the engine stops its containers first
        finally:
            process.wait(_READY_SECONDS)
            _clear(root)
            _leave_cgroups()


def _wait_until_ready(running: Engine, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while running.try_docker("info").returncode:
        assert time.monotonic() < deadline, log.read_text()[-4000:]
        time.sleep(0.5)


def _clear(root: Path) -> None:
    for folder in ("data", "stand_ins", PROJECT.strip("/")):
        shutil.rmtree(root / folder, ignore_errors=True)


def _leave_cgroups() -> None:
    groups = Path("/sys/fs/cgroup")
    for ours in (*groups.glob(_CGROUP), *groups.glob(f"*/{_CGROUP}")):
        inner = [folder for folder in ours.rglob("*") if folder.is_dir()]
        for folder in (*sorted(inner, reverse=True), ours):
            with suppress(FileNotFoundError):  # some of these trees are the same under two names
                folder.rmdir()
