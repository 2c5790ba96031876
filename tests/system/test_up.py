"""`b2b-chat up`, from the outside."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
from support.commands import clean_environ, first_json_line, run, running_in, started, until

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can do this")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


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
        first = first_json_line(process.stdout)
        assert list(first) == ["product_url", "gateway_url", "openai_url", "database_url", "api_key"]
        sent = chat(first, client_message_id="kept")
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, "")
    assert running_in(data_dir) == []

    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        second = first_json_line(process.stdout)
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
        assert process.stdout is not None
        lines = []
        until(lambda: lines.append(process.stdout.readline()) or lines[-1].startswith("Ctrl-C"))
        (command,) = [line.strip() for line in lines if line.strip().startswith("curl ")]
        tried = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)  # noqa: S602 - the line that people are told to paste
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert "event: start" in tried.stdout
    assert "event: final" in tried.stdout


def test_what_must_stay_secret_is_readable_by_its_owner_alone(data_dir: Path, environ: dict[str, str]) -> None:
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        first_json_line(process.stdout)
        modes = {name: stat.S_IMODE((data_dir / name).stat().st_mode) for name in (".", "secrets.json", "api_key")}
        assert modes == {".": 0o700, "secrets.json": 0o600, "api_key": 0o600}
        for app in ("product", "gateway"):
            assert "b2b_" not in (data_dir / "logs" / f"{app}.log").read_text()


def test_after_a_kill_nothing_stays_and_the_next_run_works(data_dir: Path, environ: dict[str, str]) -> None:
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        first_json_line(process.stdout)
        process.kill()
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        chat(first_json_line(process.stdout))
        process.kill()
    if sys.platform == "linux":  # the only system that tells children of their parent's end
        until(lambda: running_in(data_dir) == [])


def test_what_a_killed_run_left_is_ended_by_the_next(data_dir: Path, environ: dict[str, str]) -> None:
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        first_json_line(process.stdout)
        left = running_in(data_dir)
        for straggler in left:
            straggler.suspend()  # so that it cannot heed its parent's end
        process.kill()
    assert [straggler for straggler in left if straggler.is_running()]
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        chat(first_json_line(process.stdout))
        assert not [straggler for straggler in left if straggler.is_running()]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert running_in(data_dir) == []


@pytest.mark.parametrize("part", ["product", "gateway", "openai-simulator"])
def test_a_part_that_dies_ends_it_with_the_name_of_its_log(data_dir: Path, environ: dict[str, str], part: str) -> None:
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        first_json_line(process.stdout)
        process_of(data_dir, part).kill()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"b2b-chat: {part} was killed by signal 9. The end of {data_dir / 'logs' / part}.log:" in errors
    assert running_in(data_dir) == []


def test_a_part_that_does_not_start_is_told_with_its_reason(data_dir: Path, environ: dict[str, str]) -> None:
    done = run("up", "--json", "--data-dir", data_dir, environ={**environ, "GATEWAY_NONCE_TTL_SECONDS": "soon"})
    assert (done.returncode, done.stdout) == (1, "")
    assert "b2b-chat: gateway ended with exit code 2." in done.stderr
    assert "GATEWAY_NONCE_TTL_SECONDS must be" in done.stderr
    assert running_in(data_dir) == []


def test_two_runs_on_one_folder_are_refused(data_dir: Path, environ: dict[str, str]) -> None:
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        addresses = first_json_line(process.stdout)
        for command in ("up", "demo"):
            done = run(command, "--data-dir", data_dir, environ=environ)
            assert done.returncode == 1
            assert done.stderr.startswith(
                f"b2b-chat: Another b2b-chat (process {process.pid}) is running on {data_dir}."
            )
        chat(addresses)


def test_given_variables_win_over_the_embedded_parts(data_dir: Path, environ: dict[str, str], tmp_path: Path) -> None:
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        real = first_json_line(process.stdout)
        theirs = {
            "DATABASE_URL": real["database_url"],
            "OPENAI_BASE_URL": real["openai_url"],
            "OPENAI_API_KEY": "sk-of-this-test-alone",
            "GATEWAY_SHARED_SECRET": "a-secret-of-this-test-alone-0123456789",
        }
        other_dir = tmp_path / "other"
        with started("up", "--json", "--data-dir", other_dir, environ={**environ, **theirs}) as other:
            addresses = first_json_line(other.stdout)
            assert (addresses["database_url"], addresses["openai_url"]) == (real["database_url"], real["openai_url"])
            chat(addresses)
            commands = {process.cmdline()[-1] for process in running_in(other_dir)}
            assert commands == {"product", "gateway"}
            other.send_signal(signal.SIGTERM)
            other.communicate(timeout=60)
        assert not (other_dir / "postgres").exists()
        chat(real)


def test_a_folder_that_cannot_be_written_is_told(environ: dict[str, str]) -> None:
    done = run("up", "--data-dir", "/proc/nothing", environ=environ)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("b2b-chat: Cannot use the data folder /proc/nothing: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", disk], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.decode()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


@ROOT_ONLY
def test_a_full_disk_is_told_and_nothing_is_left(small_disk: Path, environ: dict[str, str]) -> None:
    done = run("up", "--data-dir", small_disk / "data", environ=environ)
    assert done.returncode == 1
    assert done.stderr.startswith(f"b2b-chat: The disk of {small_disk / 'data'} is full: ")
    assert running_in(small_disk / "data") == []
