"""What strangers' tools say of both OpenAPI documents: two linters, and a generated TypeScript client that compiles.

`openapi_tools/` pins the tools. A rule that is switched off there has its reason beside it.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.client.typescript import node, npm_install
from support.processes.commands import clean_environ, run
from support.processes.project_files import ROOT

TOOLS = ROOT / "tests/system/openapi_tools"
BOTH = ("product.json", "gateway.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tools, installed, and beside them both documents."""
    node()
    folder = tmp_path_factory.mktemp("tools") / "openapi_tools"
    shutil.copytree(TOOLS, folder, ignore=shutil.ignore_patterns("node_modules"))
    npm_install(folder)
    for name in BOTH:
        printed = run("openapi", Path(name).stem, environ=clean_environ(folder))
        (folder / name).write_text(printed.stdout)
    return folder


def tool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the tools in their folder."""
    program, *rest = arguments
    command = [str(folder / "node_modules/.bin" / program), *rest]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def found_by_redocly(folder: Path, *documents: str) -> list[str]:
    told = tool(folder, "redocly", "lint", *documents, "--config=redocly.yaml", "--format=json")
    return [f"{each['ruleId']}: {each['message']}" for each in json.loads(told.stdout)["problems"]]


def found_by_spectral(folder: Path, *documents: str) -> list[str]:
    told = tool(folder, "spectral", "lint", *documents, "--ruleset=spectral.json", "--format=json", "--quiet")
    return [f"{each['code']}: {each['message']} {each['path']}" for each in json.loads(told.stdout)]


def test_redocly_finds_nothing(folder: Path) -> None:
    assert [problem for name in BOTH for problem in found_by_redocly(folder, name)] == []


def test_spectral_finds_nothing(folder: Path) -> None:
    assert found_by_spectral(folder, *BOTH) == []


def test_both_can_find_something(folder: Path) -> None:
    document: dict[str, Any] = json.loads((folder / "product.json").read_text())
    send = document["paths"]["/v1/chat"]["post"]
    send["operationId"] = "getBalance"
    send["requestBody"]["content"]["application/json"]["examples"]["example"]["value"] = {"text": 1}
    (folder / "bad.json").write_text(json.dumps(document))
    assert found_by_redocly(folder, "bad.json") != []
    assert found_by_spectral(folder, "bad.json") != []


def test_a_generated_client_compiles(folder: Path) -> None:
    for command in (("openapi-typescript", "product.json", "-o", "product.d.ts"), ("tsc", "-p", ".")):
        done = tool(folder, *command)
        assert done.returncode == 0, done.stdout + done.stderr
