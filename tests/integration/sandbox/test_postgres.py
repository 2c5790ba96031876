import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from b2b_chat.sandbox import postgres
from b2b_chat.sandbox.errors import SandboxError
from b2b_chat.sandbox.postgres import EmbeddedPostgres, run_sql


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    embedded = EmbeddedPostgres(tmp_path / "pg", durable=False)
    yield embedded
    embedded.stop()


def test_data_outlives_a_restart(server: EmbeddedPostgres) -> None:
    server.start()
    server.create_database("shop")
    server.create_database("shop")
    run_sql(server.url("shop"), "CREATE TABLE t AS SELECT 42 AS n")
    server.stop()
    server.start()
    assert run_sql(server.url("shop"), "SELECT n FROM t") == "42"


async def test_asyncpg_understands_the_address(server: EmbeddedPostgres) -> None:
    server.start()
    connection = await asyncpg.connect(server.url("postgres"))
    assert await connection.fetchval("SHOW listen_addresses") == ""
    assert await connection.fetchval("SELECT datcollate || datlocale FROM pg_database LIMIT 1") == "CC.UTF-8"
    await connection.close()


@pytest.mark.parametrize(("durable", "fsync"), [(True, "on"), (False, "off")])
def test_only_a_durable_one_waits_for_the_disk(tmp_path: Path, durable: bool, fsync: str) -> None:
    server = EmbeddedPostgres(tmp_path, durable=durable)
    server.start()
    try:
        assert run_sql(server.url("postgres"), "SHOW fsync") == fsync
    finally:
        server.stop()


def test_committed_data_survives_a_kill(server: EmbeddedPostgres) -> None:
    server.start()
    run_sql(server.url("postgres"), "CREATE TABLE t AS SELECT 42 AS n")
    os.kill(server.child.pid, signal.SIGKILL)
    server.child.stop(kill_after_seconds=5)
    server.start()
    assert run_sql(server.url("postgres"), "SELECT n FROM t") == "42"


def test_a_server_that_a_killed_run_left_is_stopped_by_the_next(tmp_path: Path, server: EmbeddedPostgres) -> None:
    earlier = EmbeddedPostgres(tmp_path / "pg", durable=False)
    earlier.start()
    left = psutil.Process(earlier.child.pid)
    server.start()
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE
    assert run_sql(server.url("postgres"), "SELECT 1") == "1"
    earlier.child.stop(kill_after_seconds=5)


def test_a_stranger_with_the_number_of_a_dead_server_is_left_alone(tmp_path: Path, server: EmbeddedPostgres) -> None:
    server.start()
    pid_file = tmp_path / "pg" / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    os.kill(server.child.pid, signal.SIGKILL)
    server.child.stop(kill_after_seconds=5)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        server.start()
        assert stranger.poll() is None
        stranger.kill()
    assert run_sql(server.url("postgres"), "SELECT 1") == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux offers a signal at the parent's death")
def test_it_ends_in_order_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time; from b2b_chat.sandbox.postgres import EmbeddedPostgres; "
        f"server = EmbeddedPostgres(pathlib.Path({str(tmp_path / 'pg')!r}), durable=False); server.start(); "
        "print(server.child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        left = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    deadline = time.monotonic() + 20
    while left.is_running() and left.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "database system is shut down" in (tmp_path / "pg" / "postgres.log").read_text()


def test_a_half_made_cluster_is_made_again(tmp_path: Path, server: EmbeddedPostgres) -> None:
    unfinished = tmp_path / "pg" / "cluster.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    server.start()
    assert not unfinished.exists()


def test_a_path_too_long_for_a_socket_works_and_leaves_no_folder_outside(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / "with space, and comma"
    server = EmbeddedPostgres(deep, durable=False)
    server.start()
    socket_folder = Path(run_sql(server.url("postgres"), "SHOW unix_socket_directories"))
    assert socket_folder.stat().st_mode & 0o777 == 0o700
    server.stop()
    assert not socket_folder.exists()


def test_a_socket_folder_that_someone_else_made_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    server = EmbeddedPostgres(deep, durable=False)
    server.start()
    socket_folder = Path(run_sql(server.url("postgres"), "SHOW unix_socket_directories"))
    server.stop()
    socket_folder.symlink_to(tmp_path)
    try:
        with pytest.raises(SandboxError, match="belongs to another user"):
            server.start()
    finally:
        socket_folder.unlink()


def test_data_of_another_major_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "PG_VERSION").write_text("16\n")
    with pytest.raises(SandboxError, match="was made by PostgreSQL 16, and this is 18"):
        EmbeddedPostgres(tmp_path).start()


def test_the_reason_of_a_failed_start_is_reported(tmp_path: Path, server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    (tmp_path / "pg" / "cluster" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(SandboxError, match=r"(?s)PostgreSQL ended with exit code .*no_such_setting"):
        server.start()


def test_a_full_disk_is_reported_and_leaves_no_half_cluster(small_disk: Path) -> None:
    with pytest.raises(SandboxError, match=r"(?s)Cannot create the database folder .*No space left on device"):
        EmbeddedPostgres(small_disk / "pg").start()
    assert list((small_disk / "pg").iterdir()) == []


def test_a_start_that_takes_too_long_is_reported_and_ended(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_READY_SECONDS", -1)
    monkeypatch.setattr(postgres, "_PID_FILE_STATUS_LINE", 99)  # a line that never says that it is ready
    with pytest.raises(SandboxError, match="PostgreSQL is not ready after"):
        server.start()
    with pytest.raises(SandboxError, match="not started"):
        _ = server.child


def test_what_postgresql_refuses_is_reported(server: EmbeddedPostgres) -> None:
    server.start()
    with pytest.raises(SandboxError, match=r'PostgreSQL says: .*relation "missing" does not exist'):
        run_sql(server.url("postgres"), "SELECT * FROM missing")


def test_the_process_is_not_there_before_the_start(server: EmbeddedPostgres) -> None:
    with pytest.raises(SandboxError, match="not started"):
        _ = server.child
    server.stop()
