"""`b2b-chat demo`, from the outside."""

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from support.processes.commands import clean_environ, output_of, progress_of, run, running_in, started, until

IDS = re.compile(r"user ([0-9a-f-]{36}), assistant ([0-9a-f-]{36})")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all tests here that do not need a new one: the first run on it takes the longest."""
    return tmp_path_factory.mktemp("sandbox") / "data"


def test_it_shows_answer_usage_charge_and_a_free_retry_twice(data_dir: Path, tmp_path: Path) -> None:
    for _ in range(2):
        done = run("demo", "What is a gateway?", "--data-dir", data_dir, environ=clean_environ(tmp_path))
        assert done.returncode == 0, done.stderr
        assert "You:       What is a gateway?\nAssistant: " in done.stdout
        assert re.search(
            r"^Usage: +[1-9]\d* prompt \+ [1-9]\d* completion = [1-9]\d* tokens$", done.stdout, re.MULTILINE
        )
        assert re.search(r"^Charge: +0\.\d*[1-9]\d* credits$", done.stdout, re.MULTILINE)
        assert re.search(r"^Balance: +99\d\.\d+ credits$", done.stdout, re.MULTILINE)
        assert re.search(r"same ids: user [0-9a-f-]{36}, assistant [0-9a-f-]{36}; charged 0 credits\n$", done.stdout)
        assert running_in(data_dir) == []


def test_the_answer_is_shown_as_it_arrives(data_dir: Path, tmp_path: Path) -> None:
    environ = clean_environ(tmp_path, OPENAI_SIMULATOR_TOKENS_PER_SECOND="20")
    with started("demo", "--data-dir", data_dir, environ=environ) as process:
        stdout = output_of(process).fileno()
        pieces = list(iter(lambda: os.read(stdout, 65536), b""))
    assert process.returncode == 0
    assert len(pieces) > 10


def test_ctrl_c_in_the_middle_of_an_answer_stops_everything(data_dir: Path, tmp_path: Path) -> None:
    environ = clean_environ(tmp_path, OPENAI_SIMULATOR_TOKENS_PER_SECOND="1")
    with started("demo", "--data-dir", data_dir, environ=environ) as process:
        assert output_of(process).readline().startswith("You: ")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.endswith("b2b-chat: stopped, with everything that was started.\n")
    assert running_in(data_dir) == []


@pytest.mark.parametrize("moment", ["Starting PostgreSQL", "Applying", "Starting product"])
def test_ctrl_c_while_it_starts_stops_everything(tmp_path: Path, moment: str) -> None:
    data_dir = tmp_path / "new"
    with started("demo", "--data-dir", data_dir, environ=clean_environ(tmp_path)) as process:
        until(lambda: moment in progress_of(process).readline())
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (143, "")
    assert running_in(data_dir) == []


def test_a_failed_answer_ends_it_with_the_reason_and_nothing_left(data_dir: Path, tmp_path: Path) -> None:
    text = "Hello [[simulate: error=invalid_api_key]]"
    done = run("demo", text, "--data-dir", data_dir, environ=clean_environ(tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("b2b-chat: The chat failed. ")
    assert running_in(data_dir) == []


@pytest.mark.parametrize(("text", "code"), [("", 1), (b"\xff", 2)])
def test_a_text_that_cannot_be_sent_is_reported(data_dir: Path, tmp_path: Path, text: str | bytes, code: int) -> None:
    done = run("demo", os.fsdecode(text), "--data-dir", data_dir, environ=clean_environ(tmp_path))
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert running_in(data_dir) == []


def test_an_answer_that_the_terminal_cannot_show_does_not_break_it(data_dir: Path, tmp_path: Path) -> None:
    environ = clean_environ(tmp_path, PYTHONIOENCODING="latin-1")
    done = run("demo", "[[simulate: text=%F0%9F%98%80]]", "--data-dir", data_dir, environ=environ)
    assert done.returncode == 0, done.stderr
    assert "Assistant: ?" in done.stdout


@pytest.mark.parametrize("variable", ["PRODUCT_PORT", "GATEWAY_PORT", "OPENAI_SIMULATOR_PORT"])
def test_a_busy_port_is_reported_before_anything_starts(tmp_path: Path, variable: str) -> None:
    data_dir = tmp_path / "new"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = run("demo", "--data-dir", data_dir, environ=clean_environ(tmp_path, **{variable: port}))
    assert done.returncode == 1
    assert done.stderr == f"b2b-chat: 127.0.0.1:{port} is in use by another program. Stop it or choose another port.\n"
    assert list((data_dir / "logs").iterdir()) == []
    assert running_in(data_dir) == []


def test_the_tour_shows_each_failure_and_leaves_the_books_right(data_dir: Path, tmp_path: Path) -> None:
    done = run("demo", "--tour", "--data-dir", data_dir, environ=clean_environ(tmp_path))
    assert done.returncode == 0, done.stderr
    chapters = re.split(r"^\d\. ", done.stdout, flags=re.MULTILINE)[1:]
    assert [chapter.partition(":")[0] for chapter in chapters] == [
        "A retry",
        "A cut answer",
        "A cut answer without `restart`",
        "An outage",
        "A stop",
        "An empty balance",
    ]
    retry, restart, cut, outage, stop, poverty = (
        [line for line in text.splitlines() if "←" in line] for text in chapters
    )
    assert retry[0] == retry[1]
    names = re.findall(r"← event: (\w+)", "\n".join(restart))
    assert names == ["start", "delta", "restart", "delta", "final"]
    assert '{"attempt": 2}' in restart[2]
    names = re.findall(r"← event: (\w+)", "\n".join(cut))
    assert names == ["start", "delta", "error", "start", "delta", "final"]
    assert '"code": "answer_cut"' in cut[2]
    assert re.findall(r"← (\d+)", "".join(outage)) == ["503", "200"]
    assert ['"status": "stopped"' in line for line in stop] == [True, True]
    assert re.findall(r'← (\d+) .*"code": "(\w+)"', poverty[0]) == [("402", "insufficient_credits")]
    balances = [float(told) for told in re.findall(r'"balance_credits": "([\d.]+)"', done.stdout)]
    assert balances == sorted(balances, reverse=True)
    assert running_in(data_dir) == []


def test_ctrl_c_in_the_middle_of_the_tour_stops_everything(data_dir: Path, tmp_path: Path) -> None:
    with started("demo", "--tour", "--data-dir", data_dir, environ=clean_environ(tmp_path)) as process:
        until(lambda: output_of(process).readline().startswith("5. "))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.endswith("b2b-chat: stopped, with everything that was started.\n")
    assert running_in(data_dir) == []


@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", "OPENAI_BASE_URL", "GATEWAY_URL"])
def test_the_tour_refuses_to_play_with_a_real_model(tmp_path: Path, variable: str) -> None:
    done = run("demo", "--tour", "--data-dir", tmp_path / "new", environ=clean_environ(tmp_path, **{variable: "x"}))
    assert done.returncode == 1
    assert done.stderr == f"b2b-chat: The tour needs the simulated OpenAI. Unset {variable}.\n"
    assert not (tmp_path / "new").exists()


def test_the_tour_takes_no_text(tmp_path: Path) -> None:
    done = run("demo", "--tour", "Hello", environ=clean_environ(tmp_path))
    assert done.returncode == 2
    assert "--tour has texts of its own." in done.stderr
