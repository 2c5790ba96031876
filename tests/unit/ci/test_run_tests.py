"""`.ci/run_tests.py` on projects of a few tests."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

SCRIPT: Final = Path(__file__).parents[3] / ".ci" / "run_tests.py"
GOOD: Final = "def test_good():\n    pass\n"
BAD: Final = "def test_bad():\n    assert not 'ever'\n"
FLAKY: Final = """
from pathlib import Path

def test_flaky():
    seen = Path("seen")
    first, _ = not seen.exists(), seen.touch()
    assert not first
"""
FLAKY_FIXTURE: Final = """
import pytest
from pathlib import Path

@pytest.fixture
def broken_once():
    seen = Path("fixture_seen")
    first, _ = not seen.exists(), seen.touch()
    assert not first

def test_by_fixture(broken_once):
    pass
"""


def run(folder: Path, *contents: str, command: str = "pytest") -> tuple[int, str, list[str]]:
    """Run it in a folder with these test files; return its status, its output and the result's lines."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    for number, content in enumerate(contents):
        (folder / f"test_{number}.py").write_text(content)
    done = subprocess.run(
        [sys.executable, SCRIPT, sys.executable, "-m", command, "-p", "xdist.plugin", "--numprocesses", "1"],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # loading all of them takes longer than the tests
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stdout.partition("=== result\n")[2].splitlines()


def test_tests_that_pass_run_once(tmp_path: Path) -> None:
    status, output, result = run(tmp_path, GOOD)
    assert status == 0
    assert "once more" not in output
    assert len(result) == 1
    assert result[0].startswith("All tests: 1 passed in ")


@pytest.mark.parametrize(("content", "name"), [(FLAKY, "test_flaky"), (FLAKY_FIXTURE, "test_by_fixture")])
def test_one_that_passes_the_second_time_is_named_and_fails_nothing(tmp_path: Path, content: str, name: str) -> None:
    status, _, result = run(tmp_path, GOOD, content)
    assert status == 0
    assert result[1].startswith("Tests that failed, once more: 1 passed")
    assert result[2:] == [f"FLAKY: test_1.py::{name} (a defect of the test or of the product)"]


def test_one_that_fails_twice_fails_the_run(tmp_path: Path) -> None:
    status, _, result = run(tmp_path, FLAKY, GOOD, BAD)
    assert status == 1
    assert result[2:] == [
        "FAILED TWICE: test_2.py::test_bad",
        "FLAKY: test_0.py::test_flaky (a defect of the test or of the product)",
    ]


def test_a_file_that_cannot_be_loaded_fails_the_run(tmp_path: Path) -> None:
    status, _, _ = run(tmp_path, GOOD, "import nothing_of_this_name\n")
    assert status != 0


def test_an_earlier_runs_failures_do_not_count(tmp_path: Path) -> None:
    assert run(tmp_path, BAD)[0] == 1
    status, output, _ = run(tmp_path, GOOD)
    assert status == 0
    assert "once more" not in output


def test_a_command_that_never_came_to_the_tests_fails_the_run(tmp_path: Path) -> None:
    status, _, result = run(tmp_path, GOOD, command="no_such_module")
    assert status != 0
    assert result[0] == "All tests: no closing line: pytest did not come to its end"
