"""Run the tests by the command given, and once more those that failed: `python .ci/run_tests.py just test`.

The fault cases are whole stacks of processes that share the machine with each other, so a test may fail for want of
time. It must then pass by itself; it is still a defect, of the test or of the product, and is named at the end.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

_LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")
_AGAIN = [sys.executable, "-m", "pytest", "--last-failed", "--last-failed-no-failures", "none"]
_CLOSING_LINE = re.compile(r"(passed|failed|errors?|deselected|no tests ran).* in \d+\.\d+s")


def run(command: list[str]) -> tuple[int, str]:
    """Run it with its output shown as it comes; return its status and pytest's closing line."""
    closing = "no closing line: pytest did not come to its end"
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            if _CLOSING_LINE.search(line):
                closing = line.strip(" =\n")
    return process.returncode, closing


def failed_tests() -> set[str]:
    """Return the tests that pytest remembers as failed, or files that it could not load."""
    return set(json.loads(_LAST_FAILED.read_text(encoding="utf-8"))) if _LAST_FAILED.exists() else set()


def main(command: list[str]) -> int:
    """Run the tests, print what came of each run, and return the last one's status."""
    _LAST_FAILED.unlink(missing_ok=True)
    status, closing = run(command)
    summary = [f"All tests: {closing}"]
    if status != 0:
        failed = failed_tests()
        print("\n=== tests that failed, once more", flush=True)
        status, closing = run(_AGAIN)
        summary.append(f"Tests that failed, once more: {closing}")
        failed_again = failed_tests()
        summary += [f"FAILED TWICE: {test}" for test in sorted(failed & failed_again)]
        summary += [f"FLAKY: {test} (a defect of the test or of the product)" for test in sorted(failed - failed_again)]
    print("\n=== result", *summary, sep="\n", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
