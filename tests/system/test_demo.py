"""`b2b-chat demo`, from the outside."""

import os
import re
import signal
import socket
from pathlib import Path

import pytest
from support.commands import clean_environ, run, running_in, started, until

IDS = re.compile(r"user ([0-9a-f-]{36}), assistant ([0-9a-f-]{36})")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


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
        assert process.stdout is not None
        pieces = list(iter(lambda: os.read(process.stdout.fileno(), 65536), b""))
    assert process.returncode == 0
    assert len(pieces) > 10


def test_ctrl_c_in_the_middle_of_an_answer_stops_everything(data_dir: Path, tmp_path: Path) -> None:
    environ = clean_environ(tmp_path, OPENAI_SIMULATOR_TOKENS_PER_SECOND="1")
    with started("demo", "--data-dir", data_dir, environ=environ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("You: ")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.endswith("b2b-chat: stopped, and with it all that was started.\n")
    assert running_in(data_dir) == []


@pytest.mark.parametrize("moment", ["Starting PostgreSQL", "Applying", "Starting product"])
def test_ctrl_c_while_it_starts_stops_everything(data_dir: Path, tmp_path: Path, moment: str) -> None:
    with started("demo", "--data-dir", data_dir, environ=clean_environ(tmp_path)) as process:
        assert process.stderr is not None
        until(lambda: moment in process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (143, "")
    assert running_in(data_dir) == []


def test_a_failed_answer_ends_it_with_the_reason_and_nothing_left(data_dir: Path, tmp_path: Path) -> None:
    text = "Hello [[simulate: error=invalid_api_key]]"
    done = run("demo", text, "--data-dir", data_dir, environ=clean_environ(tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("b2b-chat: The chat failed: ")
    assert running_in(data_dir) == []


@pytest.mark.parametrize("variable", ["PRODUCT_PORT", "GATEWAY_PORT", "OPENAI_SIMULATOR_PORT"])
def test_a_busy_port_is_told_before_anything_starts(data_dir: Path, tmp_path: Path, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = run("demo", "--data-dir", data_dir, environ=clean_environ(tmp_path, **{variable: port}))
    assert done.returncode == 1
    assert done.stderr == f"b2b-chat: 127.0.0.1:{port} is in use by another program. Stop it or choose another port.\n"
    assert list((data_dir / "logs").iterdir()) == []
    assert running_in(data_dir) == []
