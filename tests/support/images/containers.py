"""Images built and run without a Docker engine: buildah builds them, bubblewrap runs their contents.

The Python base cannot be had without a registry, so Debian's own Python of the same release stands in under its name.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from support.processes.commands import until
from support.processes.programs import needed_tool

ROOT: Final = Path(__file__).parents[3]
BASE: Final = "docker.io/library/python:3.13-slim-trixie"
_SUITE: Final = "trixie"
_MIRROR: Final = "http://deb.debian.org/debian"
_STAND_IN: Final = """
FROM scratch
ADD root /
RUN ln -s /usr/bin/python3 /usr/local/bin/python3 && ln -s /usr/bin/python3 /usr/local/bin/python
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt
CMD ["python3"]
"""


@dataclass(frozen=True)
class Image:
    """A built image, its files laid out in `files`."""

    files: Path
    config: Mapping[str, Any]
    """`User`, `Env`, `Cmd` and so on, as Docker has them."""
    container: str
    """The name by which buildah knows it laid out."""


class Builder:
    """Builds images into a folder, which keeps the base for the next time."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._buildah_program = needed_tool("buildah", package="buildah")
        home.mkdir(parents=True, exist_ok=True)

    def prepare_base(self) -> None:
        """See to it that there is a base."""
        if self._buildah("images", "--quiet", "--filter", f"reference={BASE}").strip():
            return
        root = self._home / "root"
        debootstrap(root, "python3", "python3-pip", "ca-certificates")
        # As in the real base: pip is the image's own, and no package of Debian's is left to be installed.
        for mark in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
            mark.unlink()
        for needless in ("usr/share/doc", "usr/share/locale"):
            shutil.rmtree(root / needless)
        (self._home / "StandIn").write_text(_STAND_IN)
        self._build(BASE, self._home / "StandIn", context=self._home)
        shutil.rmtree(root)

    def build(self, name: str, **arguments: str) -> Image:
        """Build `docker/NAME.Dockerfile`."""
        tag = f"localhost/b2b-chat/{name}:test"
        self._build(tag, ROOT / "docker" / f"{name}.Dockerfile", context=ROOT, PYTHON_IMAGE=BASE, **arguments)
        described = json.loads(self._buildah("inspect", "--type", "image", tag))
        container = self._buildah("from", "--pull=never", tag).strip()
        return Image(Path(self._buildah("mount", container).strip()), described["Docker"]["config"], container)

    @contextmanager
    def running(self, image: Image, log: Path, environ: Mapping[str, str]) -> Iterator[None]:
        """Run an image's command by `buildah run`, as the image's user and on a root that it could write on."""
        given = [f"--env={name}={value}" for name, value in environ.items()]
        command = self._command("run", "--isolation=chroot", *given, image.container, "--", *image.config["Cmd"])
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        try:
            yield
        finally:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()

    def base_archive(self) -> Path:
        """The base, as `docker load` takes it."""
        archive = self._home / "base.tar"
        archive.unlink(missing_ok=True)
        self._buildah("push", BASE, f"docker-archive:{archive}:{BASE}")
        return archive

    def clean(self) -> None:
        """Forget the containers and all images but the base."""
        self._buildah("rm", "--all")
        for line in self._buildah("images", "--format", "{{.ID}} {{.Name}}:{{.Tag}}").splitlines():
            identifier, name = line.split()
            if name != BASE:
                self._buildah("rmi", "--force", identifier)

    def _build(self, tag: str, file: Path, *, context: Path, **arguments: str) -> None:
        given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        options = ["--isolation=chroot", "--pull=never", "--format=docker", "--layers=false", "--quiet", *given]
        self._buildah("build", *options, "--tag", tag, "--file", str(file), str(context))

    def _buildah(self, *arguments: str) -> str:
        return _run(self._command(*arguments))

    def _command(self, *arguments: str) -> list[str]:
        storage = ["--root", str(self._home / "store"), "--runroot", str(self._home / "run")]
        return [self._buildah_program, *storage, *arguments]


def debootstrap(root: Path, *packages: str) -> None:
    """Make a Debian in a folder, of these packages and the least that they need."""
    shutil.rmtree(root, ignore_errors=True)
    program = needed_tool("debootstrap", package="debootstrap")
    _run([program, "--variant=minbase", f"--include={','.join(packages)}", _SUITE, str(root), _MIRROR])
    for needless in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(root / needless)
    # Where this machine trusts an authority of its own, the Debian has to.
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", root / "etc/ssl/certs/ca-certificates.crt")


class Container:
    """A running image: its process, and what it has said."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def main(self) -> psutil.Process:
        """The process that is number 1 within."""
        (main,) = psutil.Process(self._process.pid).children()
        return main

    def stop(self, by: signal.Signals, *, timeout_seconds: float) -> int:
        """As `docker stop`: ask process number 1, and return its exit code."""
        self.main.send_signal(by)
        return self._process.wait(timeout_seconds)

    def kill(self) -> None:
        """End it, and with its first process all the others."""
        self._process.kill()
        self._process.wait()


@contextmanager
def container(image: Image, log: Path, environ: Mapping[str, str], command: Sequence[str] = ()) -> Iterator[Container]:
    """Run an image as `compose.yaml` does: its own user and command, a read-only root, an own /tmp, no capability.

    It shares the network, so that ports are this machine's.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            _sandboxed(image, environ, command), stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
    running = Container(process, log)
    try:
        until(lambda: process.poll() is not None or bool(psutil.Process(process.pid).children()))
        yield running
    finally:
        running.kill()


def run_in(image: Image, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a new container to its end."""
    return subprocess.run(_sandboxed(image, environ, command), check=False, capture_output=True, text=True, timeout=120)


def _sandboxed(image: Image, environ: Mapping[str, str], command: Sequence[str]) -> list[str]:
    user, group = image.config["User"].split(":")
    variables = dict(entry.split("=", 1) for entry in image.config["Env"]) | dict(environ)
    return [
        needed_tool("bwrap", package="bubblewrap"),
        *("--ro-bind", str(image.files), "/", "--perms", "1777", "--tmpfs", "/tmp", "--dev", "/dev", "--proc", "/proc"),  # noqa: S108 - within
        *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--as-pid-1", "--die-with-parent", "--new-session"),
        *("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"),
        *("--clearenv", *(part for item in variables.items() for part in ("--setenv", *item))),
        *("--chdir", image.config["WorkingDir"], "--"),
        # Becomes the image's user for good, then the command.
        *("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"),
        *("--inh-caps=-all", "--bounding-set=-all", *(command or image.config["Cmd"])),
    ]


def _run(command: Sequence[str]) -> str:
    environ = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environ)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout
