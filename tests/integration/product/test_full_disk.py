"""`/ready` tells a database that has no room left, though it can still be read."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from b2b_chat.kit.database import Database
from b2b_chat.product.readiness import disk_check
from b2b_chat.sandbox.postgres import EmbeddedPostgres, run_sql


@pytest.fixture
def small_database_url(tmp_path: Path, small_disk: Path) -> Iterator[str]:
    """The address of a database on a file system of 20 MB."""
    folder = tmp_path / "postgres"
    server = EmbeddedPostgres(folder, durable=False)
    server.start()
    try:
        data = next(path for path in (folder, *folder.iterdir()) if (path / "PG_VERSION").exists())
        place = small_disk / "place"
        place.mkdir()
        shutil.chown(place, data.stat().st_uid, data.stat().st_gid)
        for parent in (small_disk, *small_disk.parents[:2]):
            parent.chmod(0o755)
        name = f"small_{secrets.token_hex(4)}"
        url = server.url("postgres")
        run_sql(url, f"CREATE TABLESPACE small LOCATION '{place}'")
        run_sql(url, f"CREATE DATABASE {name} TABLESPACE small")
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        server.stop()


def fill(file: Path) -> None:
    """Write until there is no room left."""
    with suppress(OSError), file.open("wb", buffering=0) as full:
        while True:
            full.write(b"x" * 4096)


async def test_a_full_disk_is_told_until_there_is_room_again(small_database_url: str, small_disk: Path) -> None:
    database = Database(small_database_url, pool_size=1, session_pool_size=1, acquire_seconds=10, statement_seconds=10)
    await database.open()
    seconds = 0.0
    check = disk_check(database, every_seconds=15, now=lambda: seconds)
    try:
        assert await check() is None
        fill(small_disk / "filler")
        assert await check() is None  # it is not asked each time
        seconds = 20.0
        assert await check() == "database_disk"
        (small_disk / "filler").unlink()
        assert await check() is None
    finally:
        await database.close()


async def test_a_database_that_is_away_is_not_told_as_a_full_disk(tmp_path: Path) -> None:
    database = Database(
        f"postgresql://app@/chat?host={tmp_path}",
        pool_size=1,
        session_pool_size=1,
        acquire_seconds=10,
        statement_seconds=10,
    )
    await database.open()
    try:
        with pytest.raises(OSError, match="No such file"):
            await database.revision()
        assert await disk_check(database, every_seconds=15)() is None
    finally:
        await database.close()
