"""The TypeScript client builds without a dependency, and the tests of its core pass."""

import json
import re
from pathlib import Path

import pytest

import b2b_chat_client
from support.client.typescript import PACKAGE, built_client, run_node

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


def test_it_imports_only_itself(client_ts: Path) -> None:
    for module in (client_ts / "dist").glob("*.js"):
        for line in module.read_text().splitlines():
            if line.startswith(("import ", "export ")) and " from " in line:
                assert ' from "./' in line, (module.name, line)
