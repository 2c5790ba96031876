"""Fixtures that every kind of test may use: a real PostgreSQL, and a fresh migrated database for each test."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import structlog
from hypothesis import HealthCheck, settings

from b2b_chat.kit.settings import Secret
from b2b_chat.kit.valkey import Valkey
from b2b_chat.sandbox.postgres import EmbeddedPostgres
from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.database.roles import AppUser, created_app_user, created_database

# A test asserts no timing: on a busy machine any example may take long.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# These folders share one stack of processes, which takes seconds to start: so all their tests share one event loop.
_FOLDERS_WITH_ONE_LOOP: Final = {Path(__file__).parent / "system/faults", Path(__file__).parent / "system/web"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of some folders the session's event loop; all others have their file's (see pyproject.toml)."""
    for item in items:
        if _FOLDERS_WITH_ONE_LOOP.intersection(item.path.parents) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Undo how a test has configured logging: the level of a command would silence the tests after it."""
    configured = structlog.get_config()
    yield
    structlog.configure(**configured)


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database whose user may create others: TEST_DATABASE_URL, else DATABASE_URL, else an embedded server's."""
    given = os.environ.get("TEST_DATABASE_URL") or os.environ.get("DATABASE_URL")
    if given:
        # psql and asyncpg do not know SQLAlchemy's way of naming a driver.
        yield given.replace("postgresql+asyncpg://", "postgresql://", 1)
        return
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False)
    try:
        server.start()
        yield server.url("postgres")
    finally:
        server.stop()


@pytest.fixture(scope="session")
def app_user(postgres_url: str) -> Iterator[AppUser]:
    """The user that product_api works as in tests, as in production: it owns nothing."""
    with created_app_user(postgres_url) as user:
        yield user


@pytest.fixture(scope="session")
def template_database(postgres_url: str, app_user: AppUser) -> Iterator[str]:
    """The name of a database with all migrations applied, to copy from. Connecting to it makes copying fail."""
    # Imported here: tests without a database need not wait for it.
    from b2b_chat.product.database_roles import DatabaseOwner  # noqa: PLC0415
    from b2b_chat.product.schema import upgrade_to_head  # noqa: PLC0415

    with created_database(postgres_url, prefix="b2b_chat_template") as url:
        upgrade_to_head(DatabaseOwner(url, app_user.name))
        yield urlsplit(url).path.removeprefix("/")


@pytest.fixture
def owner_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """The address of an empty, migrated database of this test's own, as the owner of its tables."""
    with created_database(postgres_url, prefix="b2b_chat_test", template=template_database) as url:
        yield url


@pytest.fixture
def database_url(owner_url: str, app_user: AppUser) -> str:
    """The address of the same database, as product_api uses it."""
    return app_user.url(owner_url)


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    """A Valkey that tests share, one after the other. It stays up: a test that stops Valkey uses `own_valkey`."""
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest_asyncio.fixture
async def valkey(valkey_server: EmbeddedValkey) -> AsyncIterator[Valkey]:
    """An empty Valkey."""
    client = Valkey(Secret(valkey_server.url), timeout_seconds=10, max_connections=64)
    await client.ask("FLUSHALL")
    yield client
    await client.close()


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A Valkey that a test may stop, freeze and kill."""
    server = EmbeddedValkey(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """The address of a database of this test's own, without any table."""
    with created_database(postgres_url, prefix="b2b_chat_empty") as url:
        yield url


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for 20 MB. Skips the test where none can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["/bin/mount", "-t", "tmpfs", "-o", "size=20m", "none", str(disk)]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["/bin/umount", disk], check=True)
