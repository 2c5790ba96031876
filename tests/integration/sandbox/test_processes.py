import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from b2b_chat.sandbox.errors import SandboxError
from b2b_chat.sandbox.processes import MARK, Child, end, kill_group, left_behind, log_tail, our_command, spawn

SLEEP = "import time; print('ready', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
WITH_A_CHILD = (
    "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
    "print(child.pid, flush=True); child.wait()"
)


def python(code: str, log: Path, environ: dict[str, str] | None = None) -> Child:
    return spawn("The program", [sys.executable, "-c", code], environ={**os.environ, **(environ or {})}, log=log)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "program.log"


def test_a_child_runs_until_it_is_stopped(log: Path) -> None:
    child = python(SLEEP, log)
    until(lambda: log.read_text() == "ready\n")
    child.require_running()
    child.ask_to_stop()
    child.stop(kill_after_seconds=20)
    assert not child.is_running()
    assert not psutil.pid_exists(child.pid)
    child.stop(kill_after_seconds=0)


def test_one_that_does_not_heed_the_signal_is_killed(log: Path) -> None:
    child = python(STUBBORN, log)
    until(lambda: log.read_text() == "ready\n")
    child.ask_to_stop()
    child.stop(kill_after_seconds=0)
    assert not psutil.pid_exists(child.pid)


def test_its_own_children_end_with_it_even_when_it_died_before(log: Path) -> None:
    child = python(WITH_A_CHILD, log)
    until(lambda: log.read_text().endswith("\n"))
    grandchild = psutil.Process(int(log.read_text()))
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: not child.is_running())
    assert grandchild.is_running()
    child.stop(kill_after_seconds=0)
    grandchild.wait(20)


def test_a_process_that_ends_is_reported_with_the_end_of_its_log(log: Path) -> None:
    child = python("import sys; print('no such table'); sys.exit(3)", log)
    until(lambda: not child.is_running())
    with pytest.raises(SandboxError) as raised:
        child.require_running()
    assert str(raised.value) == f"The program ended with exit code 3. The end of {log}:\n  no such table"


def test_a_killed_process_is_reported_with_its_signal(log: Path) -> None:
    child = python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", log)
    with pytest.raises(SandboxError, match=r"was killed by signal 9.*\n  \(it is empty\)"):
        child.wait_until_done()


def test_waiting_for_one_that_ends_well(log: Path) -> None:
    python("print('done')", log).wait_until_done()
    assert log.read_text() == "done\n"


def test_a_command_that_is_not_there_is_reported(log: Path) -> None:
    with pytest.raises(SandboxError, match=r"Cannot start Nothing \(/no/such/program"):
        spawn("Nothing", ["/no/such/program"], environ={}, log=log)


def test_a_log_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="Cannot start The program"):
        python(SLEEP, tmp_path / "missing" / "program.log")


def test_the_end_of_a_long_log_is_cut_at_whole_lines(log: Path) -> None:
    log.write_text("".join(f"line {number}\n" for number in range(10_000)))
    lines = log_tail(log).splitlines()
    assert lines[-1] == "  line 9999"
    assert len(lines) == 12
    assert "cannot be read" in log_tail(log.with_name("missing.log"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux offers a signal at the parent's death")
def test_a_child_ends_when_its_parent_is_killed(log: Path) -> None:
    parent_code = (
        "import pathlib, sys, time; from b2b_chat.sandbox.processes import spawn; "
        f"child = spawn('x', [sys.executable, '-c', {SLEEP!r}], environ={{}}, log=pathlib.Path({str(log)!r})); "
        "print(child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        until(lambda: log.read_text() == "ready\n")
        parent.kill()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_what_a_killed_run_left_is_found_by_its_mark_and_ended(tmp_path: Path, log: Path) -> None:
    mark, other_mark = str(tmp_path / "one"), str(tmp_path / "two")
    ours = python(STUBBORN, log, {MARK: mark})
    others = python(SLEEP, tmp_path / "other.log", {MARK: other_mark})
    until(lambda: log.read_text() == "ready\n")
    found = left_behind(mark)
    assert [process.pid for process in found] == [ours.pid]
    end(found, by=signal.SIGTERM, kill_after_seconds=0.1)
    assert not ours.is_running()
    others.require_running()
    end(left_behind(other_mark), by=signal.SIGTERM, kill_after_seconds=20)
    assert not others.is_running()
    end(found, by=signal.SIGTERM, kill_after_seconds=0.1)  # gone already: nothing to do
    ours.stop(kill_after_seconds=0)
    others.stop(kill_after_seconds=0)


def test_killing_a_group_that_is_not_there_does_nothing() -> None:
    kill_group(2**22 + 1)


def test_our_own_command_line_does_not_import_from_the_callers_folder(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise SystemExit('hijacked')")
    done = subprocess.run([*our_command("--help")], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
