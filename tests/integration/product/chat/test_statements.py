"""How often a chat asks PostgreSQL, counted by PostgreSQL itself."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from b2b_chat.product.database_roles import DatabaseOwner
from b2b_chat.product.schema import upgrade_to_head_async
from b2b_chat.sandbox.postgres import APP_USER, EmbeddedPostgres, run_sql
from support.database.world import World
from support.product.app import Client

CHATS = 10
MAX_STATEMENTS = 5
MAX_COMMITS = 2
_STATEMENT = re.compile(r" LOG:  (?:statement|execute [^:]*): ")


class Log:
    """What the server has logged."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0

    def count_statements(self) -> int:
        """The statements run since last asked."""
        text = self._file.read_text()
        new, self._read = text[self._read :], len(text)
        return len(_STATEMENT.findall(new))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    folder = tmp_path_factory.mktemp("postgres")
    server = EmbeddedPostgres(folder, log=folder / "log", durable=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def log(server: EmbeddedPostgres) -> Log:
    return Log(server.child.log)


@pytest_asyncio.fixture(scope="module")
async def owner_url(server: EmbeddedPostgres) -> str:
    url = server.url("postgres")
    server.create_app_user()
    await upgrade_to_head_async(DatabaseOwner(url, APP_USER))
    run_sql(url, "ALTER SYSTEM SET log_statement = 'all'")
    run_sql(url, "ALTER SYSTEM SET autovacuum = off")  # it takes transaction ids too
    run_sql(url, "SELECT pg_reload_conf()")
    return url


@pytest.fixture(scope="module")
def database_url(server: EmbeddedPostgres, owner_url: str) -> str:
    del owner_url  # it is migrated
    return server.url("postgres", APP_USER)


async def written_transactions(world: World) -> int:
    """How many transactions have changed something so far."""
    row = await world.row("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next")
    return int(row["next"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("in_conversation", [False, True])
async def test_a_chat_takes_few(client: Client, world: World, log: Log, stream: bool, in_conversation: bool) -> None:
    opening = await client.ask()
    thread = {"conversation_id": opening["conversation_id"]} if in_conversation else {}
    send = client.stream if stream else client.ask
    await send(**thread)
    before = await written_transactions(world)
    log.count_statements()
    for _ in range(CHATS):
        await send(**thread)
    statements = log.count_statements()
    commits = await written_transactions(world) - before
    assert 0 < statements <= MAX_STATEMENTS * CHATS
    assert 0 < commits <= MAX_COMMITS * CHATS


async def test_a_retry_of_what_is_answered_changes_nothing(client: Client, world: World, log: Log) -> None:
    await client.ask(client_message_id="same")
    before = await written_transactions(world)
    log.count_statements()
    for _ in range(CHATS):
        await client.ask(client_message_id="same")
    assert await written_transactions(world) == before
    assert 0 < log.count_statements() <= 4 * CHATS
