"""A release: the new migrations run while the release before still serves, and no message is lost by that.

Seed's order: the database is migrated, then product_api restarts with the new code. Until then the old code works on
the new tables.
"""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from b2b_chat.product.schema import head
from b2b_chat.sandbox.postgres import run_sql
from support.database.world import Person, open_world
from support.faults.processes import Part
from support.gateway.fake import fake_gateway
from support.http.serving import free_port
from support.processes.commands import clean_environ, run
from support.processes.releases import TREE, Release, before_newest_migration
from support.processes.waiting import until
from support.product.app import Client, client_of, environ

_SENDERS = 6
_SENDS_AROUND = 10
"""So many before the migration begins, and after it has ended."""


@pytest.fixture
def before(tmp_path: Path) -> Release:
    """The release before the newest migration."""
    release = before_newest_migration(tmp_path / "before")
    if release is None:
        pytest.skip("git does not know the release before: this tree came without its history")
    return release


@pytest.fixture
def old_database_url(before: Release, empty_database_url: str) -> str:
    """A database as that release left it."""
    done = before.run("migrate", environ={"DATABASE_URL": empty_database_url})
    assert done.returncode == 0, done.stderr
    assert version_of(empty_database_url) != head()
    return empty_database_url


def test_it_is_the_code_of_then(before: Release) -> None:
    code = "import b2b_chat.product.schema as schema; print(schema.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": before.python_path}, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout).is_relative_to(before.folder)


async def test_the_release_before_serves_while_and_after_the_new_migrations_run(
    before: Release, old_database_url: str, tmp_path: Path
) -> None:
    outcomes: Counter[str] = Counter()
    over = asyncio.Event()
    async with (
        fake_gateway() as gateway,
        open_world(old_database_url) as world,
        product_of(before, old_database_url, gateway.url, tmp_path) as url,
    ):
        people = [await world.person() for _ in range(_SENDERS)]
        async with asyncio.TaskGroup() as sending:
            for person in people:
                sending.create_task(keep_sending(url, person, outcomes, over))
            try:
                await until_more(outcomes, _SENDS_AROUND)
                migrated = await asyncio.to_thread(
                    run, "migrate", environ=clean_environ(tmp_path, DATABASE_URL=old_database_url)
                )
                during = outcomes.total() - _SENDS_AROUND
                await until_more(outcomes, _SENDS_AROUND)
            finally:
                over.set()
        await world.check_books()
    assert migrated.returncode == 0, migrated.stderr
    assert version_of(old_database_url) == head()
    assert during > 0
    assert set(outcomes) == {"completed"}, outcomes
    verified = await asyncio.to_thread(
        run, "ledger", "verify", environ=clean_environ(tmp_path, DATABASE_URL=old_database_url)
    )
    assert verified.returncode == 0, verified.stderr


async def test_a_name_is_one_message_whichever_of_two_releases_is_asked(
    before: Release, old_database_url: str, tmp_path: Path
) -> None:
    """They serve beside each other while the new one is rolled out."""
    async with (
        fake_gateway() as gateway,
        open_world(old_database_url) as world,
        product_of(before, old_database_url, gateway.url, tmp_path) as old_url,
    ):
        person = await world.person()
        async with client_of(old_url, person) as old:
            stored = [await old.ask(client_message_id="before")]
            migrated = await asyncio.to_thread(
                run, "migrate", environ=clean_environ(tmp_path, DATABASE_URL=old_database_url)
            )
            assert migrated.returncode == 0, migrated.stderr
            async with (
                product_of(Release(TREE), old_database_url, gateway.url, tmp_path) as new_url,
                client_of(new_url, person) as new,
            ):
                stored.append(await new.ask(client_message_id="new"))
                stored += await asyncio.gather(*(old.ask(client_message_id="old") for _ in range(5)))
                names = ("before", "new", "old")
                repeated = [await client.ask(client_message_id=name) for name in names for client in (old, new)]
        assert {answer["user_message_id"] for answer in repeated} == {answer["user_message_id"] for answer in stored}
        assert len(gateway.calls) == 3
        assert len(await world.ledger(person)) == 1 + 3
        await world.check_books()


@asynccontextmanager
async def product_of(release: Release, database_url: str, gateway_url: str, folder: Path) -> AsyncIterator[str]:
    """The base URL of a release's product_api, which runs as a process of its own."""
    port = free_port()
    settings = environ(database_url, gateway_url, PRODUCT_PORT=str(port), PYTHONPATH=release.python_path)
    product = Part("product", clean_environ(folder, **settings), f"http://127.0.0.1:{port}", folder)
    try:
        await product.start()
        yield product.url
    finally:
        product.kill()


async def keep_sending(url: str, person: Person, outcomes: Counter[str], over: asyncio.Event) -> None:
    """Send one message after the other, whole ones and streams in turn."""
    async with client_of(url, person) as client:
        while not over.is_set():
            outcomes[await sent(client, as_stream=outcomes.total() % 2 == 1)] += 1


async def sent(client: Client, *, as_stream: bool) -> str:
    """What became of a message: `completed`, or what went wrong."""
    if as_stream:
        events = await client.stream()
        return str(events[-1].data.get("status", events[-1].name))
    response = await client.send()
    return str(response.json().get("status", response.text)) if response.is_success else response.text


async def until_more(outcomes: Counter[str], number: int) -> None:
    """Return once so many more messages are answered."""
    goal = outcomes.total() + number

    async def reached() -> bool:
        return outcomes.total() >= goal

    await until(reached)


def version_of(database_url: str) -> str:
    return run_sql(database_url, "SELECT version_num FROM alembic_version")
