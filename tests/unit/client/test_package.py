"""The client as a package: what it imports, what is generated, and what is in its wheel."""

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

import b2b_chat_client
from b2b_chat_client_codegen.__main__ import generated

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "src/b2b_chat_client"
MODULES = sorted(PACKAGE.glob("**/*.py"))
OLDEST = (3, 10)


def imports_of(module: Path) -> set[str]:
    """The packages that a module imports at run time."""
    tree = ast.parse(module.read_text(encoding="utf-8"), feature_version=OLDEST)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    found += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return {name.partition(".")[0] for name in found}


def test_it_needs_httpx_and_msgspec_alone() -> None:
    imported = set().union(*map(imports_of, MODULES))
    assert imported - sys.stdlib_module_names == {"httpx", "msgspec", "b2b_chat_client"}
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    assert [dependency.partition(">")[0] for dependency in project["dependencies"]] == ["httpx", "msgspec"]
    assert project["requires-python"] == ">=3.10"
    assert project["version"] == b2b_chat_client.__version__
    assert (PACKAGE / "py.typed").exists()


def test_what_is_generated_is_of_the_current_description() -> None:
    document = json.loads(described())
    for path, text in generated(document).items():
        written = (ROOT / "src" / path).read_text(encoding="utf-8")
        same = meaning(text) == meaning(written) if path.suffix == ".py" else text == written
        assert same, f"{path} is of another description. Run: just client-types"


def described() -> str:
    command = [sys.executable, "-m", "b2b_chat.cli", "openapi", "product"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def meaning(source: str) -> str:
    """A module without its layout and imports, which the linter tidies."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if not isinstance(node, ast.ImportFrom)]
    return ast.dump(tree)


def test_everything_that_it_offers_is_documented() -> None:
    names = {name for name in b2b_chat_client.__all__ if name != "__version__"}
    undocumented = {name for name in names if not (getattr(b2b_chat_client, name).__doc__ or "").strip()}
    assert undocumented <= {"StreamEvent"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dist = tmp_path_factory.mktemp("dist")
    command = ["uv", "build", "--quiet", "--wheel", "--package", "b2b-chat-client", "--out-dir", str(dist)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = dist.glob("*.whl")
    return found


def test_the_wheel_holds_the_package_and_works_by_itself(wheel: Path, tmp_path: Path) -> None:
    packed = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = [*PACKAGE.glob("*.py"), PACKAGE / "py.typed"]
    assert packed == {f"b2b_chat_client/{file.name}" for file in files}
    target = tmp_path / "site"
    ZipFile(wheel).extractall(target)
    script = "import b2b_chat_client as c; print(c.__file__, c.B2BChat('b2b_x', base_url='http://x'))"
    command, environ = [sys.executable, "-c", script], {"PYTHONPATH": str(target)}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.startswith(str(target)), done.stderr
