"""The map of `tests/support` in `tests/README.md`."""

import ast
import re
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[2]
SUPPORT: Final = TESTS / "support"


def first_line(module: Path) -> str:
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))
    assert docstring, f"{module} has no docstring"
    return docstring.partition("\n")[0]


def test_the_map_names_every_module_by_the_first_line_of_its_docstring() -> None:
    modules = {path for path in SUPPORT.rglob("*.py") if path.name != "__init__.py"}
    rows = {f"| `{path.relative_to(SUPPORT)}` | {first_line(path)} |" for path in modules}
    mapped = re.findall(r"^\| `.+\.py` \| .+ \|$", (TESTS / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert (rows - set(mapped), set(mapped) - rows) == (set(), set()), "the first are missing, the second are wrong"
    assert len(mapped) == len(rows)
