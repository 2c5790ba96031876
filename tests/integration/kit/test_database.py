"""Transactions that lose nothing, and outages that are distinguished from defects."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from b2b_chat.kit.database import Database, is_outage, new_id
from support.http.serving import free_port

_TABLES = """
    CREATE TABLE owners (name text PRIMARY KEY);
    CREATE TABLE pets (
        name text PRIMARY KEY DEFERRABLE INITIALLY DEFERRED,
        owner text REFERENCES owners DEFERRABLE INITIALLY DEFERRED
    );
"""


@pytest.fixture
async def database(owner_url: str) -> AsyncIterator[Database]:
    async with opened(owner_url) as database:
        async with database.connection() as connection:
            await connection.execute(_TABLES)
        yield database


@asynccontextmanager
async def opened(
    url: str, *, pool_size: int = 2, acquire_seconds: float = 5, statement_seconds: float = 5
) -> AsyncIterator[Database]:
    """A database that is open for a block."""
    database = Database(
        url,
        pool_size=pool_size,
        session_pool_size=1,
        acquire_seconds=acquire_seconds,
        statement_seconds=statement_seconds,
    )
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def listening(talk: Callable[[asyncio.StreamReader], Awaitable[None]]) -> AsyncIterator[int]:
    """The port of a server that does this with a connection and then closes it; all are closed at the end."""
    talking: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(reader)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*talking)


async def pets(database: Database) -> list[str]:
    async with database.connection() as connection:
        return [row["name"] for row in await connection.fetch("SELECT name FROM pets ORDER BY name")]


@pytest.mark.parametrize("query", ["sslmode=disable", "sslmode=prefer", "application_name=b2b"])
async def test_what_psql_understands_of_an_address_works_in_both_ways(owner_url: str, query: str) -> None:
    joint = "&" if "?" in owner_url else "?"
    async with opened(f"{owner_url}{joint}{query}") as database:
        async with database.session() as session:
            assert await session.scalar(text("SELECT 1")) == 1
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT 1") == 1


class TestSession:
    async def test_a_block_that_ends_is_committed(self, database: Database) -> None:
        async with database.session() as session:
            await session.execute(text("INSERT INTO pets VALUES ('Ada')"))
            assert await pets(database) == []
        assert await pets(database) == ["Ada"]

    async def test_a_block_that_raises_leaves_nothing(self, database: Database) -> None:
        async def insert_and_fail() -> None:
            async with database.session() as session:
                await session.execute(text("INSERT INTO pets VALUES ('Ada')"))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await insert_and_fail()
        assert await pets(database) == []

    async def test_a_block_that_is_cancelled_leaves_nothing(self, database: Database) -> None:
        inserted = asyncio.Event()

        async def insert() -> None:
            async with database.session() as session:
                await session.execute(text("INSERT INTO pets VALUES ('Ada')"))
                inserted.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(insert())
        await inserted.wait()
        task.cancel()
        await asyncio.wait({task})
        assert await pets(database) == []
        async with database.session() as session:  # the pool's one connection is free again
            await session.execute(text("SELECT 1"))

    @pytest.mark.parametrize(
        "statements",
        [
            ["INSERT INTO pets VALUES ('Bob', 'nobody')"],
            ["INSERT INTO pets VALUES ('Ada')", "INSERT INTO pets VALUES ('Ada')"],
        ],
    )
    async def test_what_only_the_commit_finds_out_is_raised(self, database: Database, statements: list[str]) -> None:
        executed: list[str] = []

        async def execute() -> None:
            async with database.session() as session:
                for statement in statements:
                    await session.execute(text(statement))
                    executed.append(statement)

        with pytest.raises(IntegrityError):
            await execute()
        assert executed == statements
        assert await pets(database) == []


class TestConnection:
    async def test_a_statement_is_a_transaction_of_its_own(self, database: Database) -> None:
        async with database.connection() as connection:
            await connection.execute("INSERT INTO pets VALUES ('Ada')")
            with pytest.raises(asyncpg.ForeignKeyViolationError):
                await connection.execute("INSERT INTO pets VALUES ('Bob', 'nobody')")
        assert await pets(database) == ["Ada"]

    async def test_using_it_before_opening_is_an_error(self, owner_url: str) -> None:
        database = Database(owner_url, pool_size=1, session_pool_size=1, acquire_seconds=1, statement_seconds=1)
        with pytest.raises(RuntimeError, match="not opened"):
            async with database.connection():
                pass
        await database.close()

    async def test_no_connection_is_lost_to_cancelled_work(self, owner_url: str) -> None:
        async with opened(owner_url, pool_size=2) as small:

            async def ask() -> None:
                async with small.connection() as connection:
                    await connection.fetchval("SELECT pg_sleep(60)")

            for _ in range(5):
                asking = [asyncio.create_task(ask()) for _ in range(4)]
                await asyncio.sleep(0.02)
                for task in asking:
                    task.cancel()
                await asyncio.wait(asking)
            async with small.connection() as one, small.connection() as two:
                assert [await one.fetchval("SELECT 1"), await two.fetchval("SELECT 2")] == [1, 2]

    async def test_connections_are_as_many_as_allowed_and_used_again(self, owner_url: str) -> None:
        async with opened(owner_url, pool_size=3) as small:
            used: set[int] = set()

            async def ask() -> None:
                async with small.connection() as connection:
                    used.add(await connection.fetchval("SELECT pg_backend_pid()"))

            await asyncio.gather(*(ask() for _ in range(100)))
            assert 1 <= len(used) <= 3
            before = set(used)
            await asyncio.gather(*(ask() for _ in range(100)))
            assert used == before

    async def test_a_waiter_gets_the_slot_of_a_failed_or_cancelled_one(self, owner_url: str) -> None:
        async with opened(owner_url, pool_size=1) as small:

            async def ask(sql: str) -> object:
                async with small.connection() as connection:
                    return await connection.fetchval(sql)

            cancelled = asyncio.create_task(ask("SELECT pg_sleep(60)"))
            await asyncio.sleep(0.1)
            waiting = [asyncio.create_task(ask(sql)) for sql in ("SELECT 1 / 0", "SELECT 'never run'", "SELECT 3")]
            await asyncio.sleep(0)
            waiting[1].cancel()
            cancelled.cancel()
            failed, gone, last = await asyncio.gather(*waiting, return_exceptions=True)
            assert isinstance(failed, asyncpg.DivisionByZeroError)
            assert isinstance(gone, asyncio.CancelledError)
            assert last == 3

    async def test_an_abandoned_transaction_is_not_handed_on(self, database: Database) -> None:
        async with database.connection() as connection:
            await connection.execute("BEGIN")
            await connection.execute("INSERT INTO pets VALUES ('Ada')")
        assert await pets(database) == []

    async def test_random_cancellations_lose_no_connection(self, owner_url: str) -> None:
        seed = random.randrange(10**6)
        rng = random.Random(seed)
        async with opened(owner_url, pool_size=3) as small:

            async def ask(number: int) -> None:
                async with small.connection() as connection:
                    assert await connection.fetchval("SELECT $1::int FROM pg_sleep(0.001)", number) == number

            for _ in range(10):
                asking = [asyncio.create_task(ask(number)) for number in range(20)]
                for task in asking:
                    await asyncio.sleep(rng.choice([0, 0, 0.001]))
                    if rng.random() < 0.5:
                        task.cancel()
                outcomes = await asyncio.gather(*asking, return_exceptions=True)
                assert {type(outcome) for outcome in outcomes} <= {type(None), asyncio.CancelledError}, f"seed {seed}"
            async with small.connection() as one, small.connection() as two, small.connection() as three:
                assert [await each.fetchval("SELECT 1") for each in (one, two, three)] == [1, 1, 1]


class TestIds:
    async def test_they_are_ordered_by_their_making_here_and_in_postgresql(self, database: Database) -> None:
        ids = [new_id() for _ in range(2000)]
        assert ids == sorted(ids)
        assert len(set(ids)) == len(ids)
        assert {each.version for each in ids} == {7}
        async with database.connection() as connection:
            ordered = await connection.fetchval("SELECT array_agg(id ORDER BY id) FROM unnest($1::uuid[]) AS id", ids)
        assert [UUID(str(each)) for each in ordered] == ids


async def failure_of(database: Database, sql: str, *arguments: object, by_session: bool) -> Exception:
    """What running a statement raises."""
    try:
        if by_session:
            async with database.session() as session:
                await session.execute(text(sql))
        else:
            async with database.connection() as connection:
                await connection.fetch(sql, *arguments)
    except Exception as error:  # noqa: BLE001 - whatever it is, is_outage judges it
        return error
    raise AssertionError("it raised nothing")


@pytest.mark.parametrize("by_session", [False, True])
class TestOutages:
    async def test_nothing_listens(self, by_session: bool) -> None:
        async with opened(f"postgresql://user:pass@127.0.0.1:{free_port()}/none") as database:
            assert is_outage(await failure_of(database, "SELECT 1", by_session=by_session))

    async def test_there_is_no_such_socket(self, by_session: bool, tmp_path: Path) -> None:
        async with opened(f"postgresql://user@/none?host={tmp_path}") as database:
            assert is_outage(await failure_of(database, "SELECT 1", by_session=by_session))

    async def test_no_reply_comes(self, by_session: bool) -> None:
        async def say_nothing(reader: asyncio.StreamReader) -> None:
            with suppress(ConnectionError):
                await reader.read()

        async with (
            listening(say_nothing) as port,
            opened(f"postgresql://user@127.0.0.1:{port}/none?sslmode=disable", acquire_seconds=0.2) as database,
        ):
            assert is_outage(await failure_of(database, "SELECT 1", by_session=by_session))

    async def test_it_hangs_up(self, by_session: bool) -> None:
        async def hang_up(_: asyncio.StreamReader) -> None:
            pass

        async with (
            listening(hang_up) as port,
            opened(f"postgresql://user@127.0.0.1:{port}/none?sslmode=disable") as database,
        ):
            assert is_outage(await failure_of(database, "SELECT 1", by_session=by_session))

    async def test_the_connection_is_ended_under_a_statement(self, database: Database, by_session: bool) -> None:
        ending = "SELECT pg_terminate_backend(pg_backend_pid())"
        assert is_outage(await failure_of(database, ending, by_session=by_session))
        async with database.session() as session:
            assert await session.scalar(text("SELECT 1")) == 1
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT 1") == 1

    async def test_a_statement_takes_too_long(self, owner_url: str, by_session: bool) -> None:
        async with opened(owner_url, statement_seconds=0.1) as database:
            assert is_outage(await failure_of(database, "SELECT pg_sleep(60)", by_session=by_session))

    async def test_the_server_ends_a_statement(self, database: Database, by_session: bool) -> None:
        cancelling = "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(60)"
        assert is_outage(await failure_of(database, cancelling, by_session=by_session))

    async def test_every_connection_is_taken(self, owner_url: str, by_session: bool) -> None:
        async with opened(owner_url, pool_size=1, acquire_seconds=0.1) as database:
            if by_session:
                async with database.session() as session:
                    await session.execute(text("SELECT 1"))
                    assert is_outage(await failure_of(database, "SELECT 1", by_session=True))
            else:
                async with database.connection():
                    assert is_outage(await failure_of(database, "SELECT 1", by_session=False))


class TestDefects:
    @pytest.mark.parametrize("by_session", [False, True])
    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT * FROM nothing",
            "SELEC 1",
            "INSERT INTO pets VALUES ('Bob', 'nobody')",
            "SELECT 1 / 0",
            "SELECT 'x'::int",
        ],
    )
    async def test_a_wrong_statement_is_no_outage(self, database: Database, sql: str, by_session: bool) -> None:
        assert not is_outage(await failure_of(database, sql, by_session=by_session))

    @pytest.mark.parametrize(
        ("sql", "argument"),
        [("SELECT $1::int", "x"), ("SELECT $1::int", 2**40), ("SELECT $1::text", "\ud800"), ("SELECT $1::text", "\0")],
        ids=["text", "too large", "half a character", "NUL"],
    )
    async def test_a_wrong_argument_is_no_outage(self, database: Database, sql: str, argument: object) -> None:
        assert not is_outage(await failure_of(database, sql, argument, by_session=False))

    def test_nor_is_any_other_error(self) -> None:
        for error in (ValueError(), KeyError(), RuntimeError(), asyncio.CancelledError()):
            assert not is_outage(error)
