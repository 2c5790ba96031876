"""The TypeScript client builds without a dependency, and the tests of its core pass."""

import json
import re
import tarfile
from pathlib import Path

import pytest

import b2b_chat_client
from support.client.typescript import PACKAGE, built_client, npm, run_node

PROGRAMS = Path(__file__).parent / "typescript"


@pytest.fixture(scope="module")
def client_ts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_client(tmp_path_factory)


@pytest.mark.parametrize("program", sorted(PROGRAMS.glob("*.test.mjs")), ids=lambda path: path.stem)
def test_its_core(program: Path, client_ts: Path) -> None:
    done = run_node("--test", program, environ={"CLIENT": (client_ts / "dist").as_uri()})
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r" pass [1-9]\d*$", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r" fail 0$", done.stdout, re.MULTILINE), done.stdout


def test_it_depends_on_nothing_and_is_of_one_version() -> None:
    project = json.loads((PACKAGE / "package.json").read_text())
    assert "dependencies" not in project
    assert project["version"] == b2b_chat_client.__version__
    lock = json.loads((PACKAGE / "package-lock.json").read_text())
    packages = {name: part for name, part in lock["packages"].items() if name}
    assert set(packages) == {"node_modules/typescript"}
    assert lock["version"] == project["version"]


def test_its_package_holds_what_is_built_alone(client_ts: Path, tmp_path: Path) -> None:
    npm(client_ts, "pack", "--silent", f"--pack-destination={tmp_path}")
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as packed:
        names = {name.removeprefix("package/") for name in packed.getnames()}
    built = {f"dist/{file.name}" for file in (client_ts / "dist").iterdir()}
    assert names == {*built, "package.json", "README.md"}
    assert {"dist/index.js", "dist/index.d.ts"} <= built


def test_it_imports_only_itself(client_ts: Path) -> None:
    for module in (client_ts / "dist").glob("*.js"):
        for line in module.read_text().splitlines():
            if line.startswith(("import ", "export ")) and " from " in line:
                assert ' from "./' in line, (module.name, line)
