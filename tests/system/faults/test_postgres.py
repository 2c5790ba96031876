"""PostgreSQL is stopped, held still, filled up, exhausted and deadlocked under load."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from support.database.world import Person, World
from support.faults.stack import FaultStack
from support.faults.witness import Witness
from support.network.protocols import StatementTrap
from support.processes.waiting import until

AWAY = {"database_unavailable", "interrupted", "message_in_progress", "internal_error"}
_ROOM_BYTES = 100_000_000
"""Of the small disk, beside the data."""
RETRYING = "attempt = attempt + 1"
"""In the statement that opens a failed answer for another attempt, within a transaction of several statements."""


async def _load(witness: Witness, people: list[Person], seconds: float) -> None:
    """Messages at random moments, for a while; nothing is expected of them."""
    async with asyncio.TaskGroup() as sends:
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            sends.create_task(witness.send(witness.rng.choice(people), "Hello [[simulate: tokens=30; tps=60]]"))
            await asyncio.sleep(witness.rng.uniform(0, 0.15))


def _codes(witness: Witness) -> set[str]:
    return {code for _, code in witness.errors}


async def test_postgres_stopped_at_once_under_load(witness: Witness, stack: FaultStack, rng: random.Random) -> None:
    people = [await witness.world.person() for _ in range(4)]
    before = {process.pid for process in stack.product.processes}
    load = asyncio.create_task(_load(witness, people, 4))
    await asyncio.sleep(rng.uniform(0.3, 1.5))
    stack.postgres.stop_immediately()
    await asyncio.sleep(rng.uniform(0.5, 1.5))
    stack.postgres.start()
    await load
    await witness.answer_all()
    assert _codes(witness) <= {"database_unavailable", "interrupted", "message_in_progress"}
    assert {process.pid for process in stack.product.processes} == before, "the product was restarted"


async def test_postgres_held_still_under_load(
    witness: Witness, stack: FaultStack, rng: random.Random, *, is_long: bool
) -> None:
    people = [await witness.world.person() for _ in range(4)]
    before = {process.pid for process in stack.product.processes}
    load = asyncio.create_task(_load(witness, people, 2))
    await asyncio.sleep(rng.uniform(0.3, 1))
    stack.postgres.signal(signal.SIGSTOP)
    await asyncio.sleep(30 if is_long else 5)
    stack.postgres.signal(signal.SIGCONT)
    await load
    await witness.answer_all()
    assert _codes(witness) <= {"database_unavailable", "interrupted", "message_in_progress"}
    assert {process.pid for process in stack.product.processes} == before, "the product was restarted"


async def test_the_pool_is_exhausted(witness: Witness, stack: FaultStack) -> None:
    stack.product.kill()
    await stack.product.start(
        DATABASE_POOL_SIZE="1", DATABASE_SESSION_POOL_SIZE="1", DATABASE_ACQUIRE_TIMEOUT_SECONDS="0.5"
    )
    people = [await witness.world.person() for _ in range(4)]
    stack.database_line.requests.toxics.latency_seconds = 0.05
    await asyncio.gather(*[witness.send(witness.rng.choice(people)) for _ in range(60)])
    assert "database_unavailable" in _codes(witness)
    assert _codes(witness) <= {"database_unavailable", "interrupted", "message_in_progress"}
    stack.database_line.heal()
    await witness.answer_all()
    stack.product.kill()


async def test_a_deadlock_is_tried_again(witness: Witness, stack: FaultStack) -> None:
    """Another transaction has the answer and wants the account; settling has the account and wants the answer."""
    person = await witness.world.person()
    sending = asyncio.create_task(witness.send(person, "Hello [[simulate: tokens=20; tps=20]]", stream=True))
    await until(stack.calls_seen_by_upstream)
    connection = await asyncpg.connect(stack.postgres.url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM messages WHERE user_id = $1 FOR UPDATE", person.user_id)
            await until(lambda: _somebody_waits(witness.world))
            await connection.execute("SELECT FROM accounts WHERE company_id = $1 FOR UPDATE", person.company_id)
    except asyncpg.DeadlockDetectedError:
        pass  # either of the two may be the one that is sent away
    finally:
        await connection.close()
    assert (await sending).is_answered
    deadlocks = await witness.world.row("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    print(f"deadlocks so far: {deadlocks['deadlocks']}")  # noqa: T201 - for a reader of the output


async def _somebody_waits(world: World) -> bool:
    rows = await world.rows("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = 'faults'")
    return bool(rows)


async def test_a_connection_is_half_open_mid_transaction(witness: Witness, stack: FaultStack) -> None:
    """The server never learns that its client is dead, which had locked the account: others must get it again."""
    person = await witness.world.person()
    failed = await witness.send(person, "Hello [[simulate: key=half; fail_times=1; status=400]]", stream=False)
    assert failed.sent is not None
    trap = stack.statements.trap = StatementTrap(RETRYING, after=True)
    retry = asyncio.create_task(witness.send_again(failed.sent))
    async with asyncio.timeout(20):
        await trap.sprung.wait()
    await until(lambda: _somebody_is_idle_in_a_transaction(witness.world))
    stack.database_line.requests.freeze()
    stack.product.kill()
    await retry
    other = stack.new_product(stack.spare_port, DATABASE_URL=stack.postgres.url)
    await other.start()
    stack.client_line.target, usual = ("127.0.0.1", stack.spare_port), stack.client_line.target
    try:
        await witness.answer(failed.sent, within_seconds=60)
    finally:
        stack.client_line.target = usual
        other.kill()
        trap.release(cut=True)


async def _somebody_is_idle_in_a_transaction(world: World) -> bool:
    rows = await world.rows("SELECT FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = 'faults'")
    return bool(rows)


@pytest.fixture
def full_disk(stack: FaultStack) -> Iterator[Path]:
    """A small file system for PostgreSQL's data, with the file that is to fill it: the data moves there and back."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder, aside = stack.folder / "pg", stack.folder / "pg-aside"
    stack.postgres.stop()
    used_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    folder.rename(aside)
    folder.mkdir()
    try:
        _system("mount", "-t", "tmpfs", "-o", f"size={used_bytes + _ROOM_BYTES}", "none", str(folder))
    except subprocess.CalledProcessError as error:
        folder.rmdir()
        aside.rename(folder)
        stack.postgres.start()
        pytest.skip(f"cannot mount a small disk: {error.stderr.decode()}")
    _copy_cluster(aside, folder)
    stack.postgres.start()
    yield folder / "filling"
    stack.postgres.stop()
    shutil.rmtree(aside)
    _copy_cluster(folder, aside)
    _system("umount", str(folder))
    folder.rmdir()
    aside.rename(folder)
    stack.postgres.start()


def _copy_cluster(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True, symlinks=True, ignore=shutil.ignore_patterns("socket"))
    _system("chown", "-R", "--reference", str(source / "cluster"), str(target / "cluster"))


def _system(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


async def test_the_disk_is_full(witness: Witness, stack: FaultStack, full_disk: Path, rng: random.Random) -> None:
    await asyncio.sleep(0.1)  # the fixture has restarted the server: connections that it closed are noticed here
    people = [await witness.world.person() for _ in range(4)]
    await witness.send(people[0])
    with full_disk.open("wb", buffering=0) as file:  # a buffer that cannot be written would fail again on closing
        while True:
            try:
                file.write(bytes(65_536))
            except OSError:
                break
    long_text = "x" * 7000
    for _ in range(6):
        sending = [witness.send(rng.choice(people), long_text) for _ in range(20)]
        await asyncio.gather(*sending)
        if _codes(witness):
            break
    assert _codes(witness) <= {"database_unavailable", "interrupted", "message_in_progress"}
    assert _codes(witness), "nothing failed: the disk was not full"
    await asyncio.to_thread(full_disk.unlink)
    if not stack.postgres.is_alive:
        stack.postgres.stop()
    await stack.heal()
    await witness.answer_all()
