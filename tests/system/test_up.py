"""`b2b-chat up`, from the outside."""

import signal
import stat
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest

from support.processes.commands import COMMAND, addresses_of, clean_environ, output_of, run, running_in, started, until


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all tests here that do not need a new one: the first run on it takes the longest."""
    return tmp_path_factory.mktemp("sandbox") / "data"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return clean_environ(tmp_path)


def chat(addresses: dict[str, Any], text: str = "Hello", client_message_id: str | None = None) -> dict[str, Any]:
    answer = httpx.post(
        f"{addresses['product_url']}/v1/chat",
        headers={"Authorization": f"Bearer {addresses['api_key']}"},
        json={"client_message_id": client_message_id or str(uuid4()), "text": text},
        timeout=60,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def process_of(data_dir: Path, command: str) -> psutil.Process:
    """The main process of one app."""
    mains = [process for process in running_in(data_dir) if process.cmdline()[-1:] == [command]]
    return min(mains, key=lambda process: process.create_time())


def test_it_prints_one_line_of_json_and_its_data_survives_a_restart(data_dir: Path, environ: dict[str, str]) -> None:
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        first = addresses_of(process)
        assert list(first)[:5] == ["product_url", "gateway_url", "openai_url", "database_url", "api_key"]
        sent = chat(first, client_message_id="kept")
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, "")
    assert running_in(data_dir) == []

    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        second = addresses_of(process)
        assert second["api_key"] == first["api_key"]
        again = chat(second, client_message_id="kept")
        assert again["assistant_message_id"] == sent["assistant_message_id"]
        assert again["balance_credits"] == sent["balance_credits"]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert running_in(data_dir) == []


def test_for_people_it_prints_addresses_and_a_line_to_try(data_dir: Path, environ: dict[str, str]) -> None:
    with started("up", "--data-dir", data_dir, environ=environ) as process:
        lines = list(takewhile(lambda line: not line.startswith("Ctrl-C"), output_of(process)))
        (command,) = [line.strip() for line in lines if line.strip().startswith("curl ")]
        tried = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)  # noqa: S602 - the line that the documents have people paste
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert "event: start" in tried.stdout
    assert "event: final" in tried.stdout


def test_what_must_stay_secret_is_readable_by_its_owner_alone(data_dir: Path, environ: dict[str, str]) -> None:
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        addresses_of(process)
        modes = {name: stat.S_IMODE((data_dir / name).stat().st_mode) for name in (".", "secrets.json", "api_key")}
        assert modes == {".": 0o700, "secrets.json": 0o600, "api_key": 0o600}
        for app in ("product", "gateway"):
            assert "b2b_" not in (data_dir / "logs" / f"{app}.log").read_text()


def test_after_a_kill_nothing_stays_and_the_next_run_works(data_dir: Path, environ: dict[str, str]) -> None:
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        addresses_of(process)
        process.kill()
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        chat(addresses_of(process))
        process.kill()
    if sys.platform == "linux":  # the only system that notifies children of their parent's end
        until(lambda: running_in(data_dir) == [])


def test_what_a_killed_run_left_is_ended_by_the_next(data_dir: Path, environ: dict[str, str]) -> None:
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        addresses_of(process)
        left = running_in(data_dir)
        for straggler in left:
            straggler.suspend()  # so that it cannot heed its parent's end
        process.kill()
    assert [straggler for straggler in left if straggler.is_running()]
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        chat(addresses_of(process))
        assert not [straggler for straggler in left if straggler.is_running()]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert running_in(data_dir) == []


def test_when_the_uv_run_that_started_it_is_killed_it_stops(
    data_dir: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    uv = tmp_path / "uv"  # a process is called by the name it was started by
    uv.symlink_to(sys.executable)
    arguments = [*COMMAND, "up", "--json", "--data-dir", str(data_dir)]
    launch = f"import subprocess; subprocess.run({arguments!r})"
    with subprocess.Popen([uv, "-c", launch], env=environ, stdout=subprocess.PIPE, text=True) as launcher:
        chat(addresses_of(launcher))
        launcher.kill()
    done = run("demo", "--data-dir", data_dir, environ=environ)
    assert done.returncode == 0, done.stderr
    assert running_in(data_dir) == []


@pytest.mark.parametrize("part", ["product", "gateway", "openai-simulator"])
def test_a_part_that_dies_ends_it_with_the_name_of_its_log(data_dir: Path, environ: dict[str, str], part: str) -> None:
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        addresses_of(process)
        process_of(data_dir, part).kill()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"b2b-chat: {part} was killed by signal 9. The end of {data_dir / 'logs' / part}.log:" in errors
    assert running_in(data_dir) == []


def test_a_part_that_does_not_start_is_reported_with_its_reason(data_dir: Path, environ: dict[str, str]) -> None:
    done = run("up", "--json", "--data-dir", data_dir, environ={**environ, "GATEWAY_NONCE_TTL_SECONDS": "soon"})
    assert (done.returncode, done.stdout) == (1, "")
    assert "b2b-chat: gateway ended with exit code 2." in done.stderr
    assert "GATEWAY_NONCE_TTL_SECONDS must be" in done.stderr
    assert running_in(data_dir) == []


def test_a_key_that_the_database_does_not_know_is_replaced(data_dir: Path, environ: dict[str, str]) -> None:
    key_file = data_dir / "api_key"
    key_file.write_text("b2b_of_another_database\n")
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        addresses = addresses_of(process)
        chat(addresses)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert key_file.read_text() == addresses["api_key"] + "\n"


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "data" / "secrets.json").mkdir(parents=True)
    done = run("up", "--data-dir", tmp_path / "data", environ=environ)
    assert done.returncode == 1
    assert done.stderr == f"b2b-chat: the system refused: [Errno 21] Is a directory: '{tmp_path}/data/secrets.json'.\n"


def test_two_runs_on_one_folder_are_refused(data_dir: Path, environ: dict[str, str]) -> None:
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        addresses = addresses_of(process)
        for command in ("up", "demo"):
            done = run(command, "--data-dir", data_dir, environ=environ)
            assert done.returncode == 1
            assert done.stderr.startswith(
                f"b2b-chat: Another b2b-chat (process {process.pid}) is running on {data_dir}."
            )
        chat(addresses)


def test_given_variables_win_over_the_embedded_parts(data_dir: Path, environ: dict[str, str], tmp_path: Path) -> None:
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        real = addresses_of(process)
        theirs = {
            "DATABASE_URL": real["database_url"],
            "OPENAI_BASE_URL": real["openai_url"],
            "OPENAI_API_KEY": "sk-of-this-test-alone",
            "GATEWAY_SHARED_SECRET": "a-secret-of-this-test-alone-0123456789",
        }
        other_dir = tmp_path / "other"
        with started("up", "--json", "--data-dir", other_dir, environ={**environ, **theirs}) as other:
            addresses = addresses_of(other)
            assert (addresses["database_url"], addresses["openai_url"]) == (real["database_url"], real["openai_url"])
            chat(addresses)
            commands = {process.cmdline()[-1] for process in running_in(other_dir)}
            assert {"product", "gateway"} <= commands
            assert "openai-simulator" not in commands
            other.send_signal(signal.SIGTERM)
            other.communicate(timeout=60)
        assert not (other_dir / "postgres").exists()
        chat(real)


def test_a_folder_that_cannot_be_written_is_reported(environ: dict[str, str]) -> None:
    done = run("up", "--data-dir", "/proc/nothing", environ=environ)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("b2b-chat: Cannot use the data folder /proc/nothing: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_full_disk_is_reported_and_nothing_is_left(small_disk: Path, environ: dict[str, str]) -> None:
    done = run("up", "--data-dir", small_disk / "data", environ=environ)
    assert done.returncode == 1
    assert done.stderr.startswith(f"b2b-chat: The disk of {small_disk / 'data'} is full: ")
    assert running_in(small_disk / "data") == []
