"""PostgreSQL, in two ways: a session for the many quiet use cases, a plain asyncpg pool for a message's life.

A select by primary key costs about 50 µs of CPU through asyncpg and 500 to 800 through an ORM session, so the few
statements that every chat runs are written as SQL; everything else uses SQLAlchemy and advanced-alchemy.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar, cast
from uuid import UUID

import asyncpg
from advanced_alchemy.base import DefaultBase
from prometheus_client import Gauge
from sqlalchemy import QueuePool, Uuid
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from b2b_chat.kit.connections import Connection, Connections

_CONNECTIONS = Gauge("b2b_chat_database_connections", "Connections to PostgreSQL that are in use.", ["pool"])
_CONNECTIONS_MAX = Gauge("b2b_chat_database_connections_max", "Connections that a pool may have.", ["pool"])

Session: TypeAlias = AsyncSession

ResultT = TypeVar("ResultT")

CONFLICTS: Final = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
"""Raised when PostgreSQL ended one of two conflicting transactions; nothing was changed, and a repeat helps."""

_MAX_TRIES: Final = 4
_RETRY_SECONDS: Final = 0.02

DATABASE_OUTAGES: Final = (
    OSError,
    TimeoutError,
    PoolTimeoutError,
    InterfaceError,
    OperationalError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,  # no connection, no memory, or no room on the disk
    asyncpg.QueryCanceledError,
    *CONFLICTS,
)
"""Raised by a database that is down, restarting or too busy."""


_REFUSALS: Final[dict[type[BaseException], str]] = {
    asyncpg.InvalidAuthorizationSpecificationError: "does not know this user and password. Check the address.",
    asyncpg.InvalidCatalogNameError: "does not have that name. Create it, or check the address.",
    asyncpg.UndefinedTableError: "lacks tables of this release. Run: b2b-chat migrate",
    asyncpg.UndefinedColumnError: "lacks columns of this release. Run: b2b-chat migrate",
    asyncpg.InsufficientPrivilegeError: "does not let this user do that. Run b2b-chat migrate as the tables' owner.",
}

_UNPREPARED: Final = {"statement_cache_size": 0}
_UNPREPARED_SESSIONS: Final = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: ""}


class Row(DefaultBase):
    """A table with a time-ordered UUID (version 7, RFC 9562) as its primary key."""

    __abstract__ = True

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, default=uuid7, sort_order=-100)


def new_id() -> UUID:
    """Return a fresh UUIDv7: unique, and ordered by time of creation."""
    return uuid7()


def is_postgresql_url(url: str) -> bool:
    """Return whether a text has the form of a PostgreSQL address; nothing is contacted."""
    try:
        return make_url(url).get_backend_name() in {"postgresql", "postgres"}
    except (ArgumentError, ValueError):
        return False


class DatabaseAddress(NamedTuple):
    """The parts of a database's address that safety checks need."""

    host: str
    """Empty for the default socket."""
    user: str | None
    password: str
    sslmode: str | None
    proof_file: str | None

    @property
    def is_socket(self) -> bool:
        """Whether it is reached by a unix socket."""
        return not self.host or self.host.startswith("/")

    @property
    def has_proof(self) -> bool:
        """Whether it says how a user shows who they are: by a password, a file of passwords, or a certificate."""
        return bool(self.password or self.proof_file)


def address_of(url: str) -> DatabaseAddress:
    """Read the address of a PostgreSQL database.

    Raises:
        ArgumentError: It is not one; see `is_postgresql_url`.
    """
    parsed = make_url(url)
    query = {name: value if isinstance(value, str) else value[-1] for name, value in parsed.query.items()}
    return DatabaseAddress(
        host=query.get("host") or parsed.host or "",
        user=parsed.username or query.get("user"),
        password=parsed.password or query.get("password") or "",
        sslmode=query.get("sslmode"),
        proof_file=query.get("passfile") or query.get("sslcert"),
    )


def dsn_of(url: str) -> str:
    """The address as asyncpg reads it, without SQLAlchemy's name of a driver."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def is_outage(error: BaseException) -> bool:
    """Return whether an exception means that the database is unavailable, rather than that a statement is wrong."""
    if isinstance(error, DBAPIError) and (
        error.connection_invalidated or isinstance(error.driver_exception, DATABASE_OUTAGES)
    ):
        return True
    return isinstance(error, DATABASE_OUTAGES)


def explain_refusal(error: BaseException) -> str | None:
    """What a database that answers refuses, and what to do; None where an exception means something else."""
    cause = error.driver_exception if isinstance(error, DBAPIError) else error
    return next((text for kind, text in _REFUSALS.items() if isinstance(cause, kind)), None)


def is_lock_timeout(error: BaseException) -> bool:
    """Return whether an exception means that a statement waited for a lock until `lock_timeout`."""
    cause = error.driver_exception if isinstance(error, DBAPIError) else error
    return isinstance(cause, asyncpg.LockNotAvailableError)


def is_statement_timeout(error: BaseException) -> bool:
    """Return whether an exception means that a statement ran for too long, or that PostgreSQL did not answer."""
    cause = error.driver_exception if isinstance(error, DBAPIError) else error
    return isinstance(cause, TimeoutError | asyncpg.QueryCanceledError)


def is_unknown_role(error: BaseException) -> bool:
    """Return whether an exception means that a statement names a user or an object that does not exist."""
    cause = error.driver_exception if isinstance(error, DBAPIError) else error
    return isinstance(cause, asyncpg.UndefinedObjectError)


def is_unstorable_text(error: BaseException) -> bool:
    """Return whether an exception means that PostgreSQL cannot store a text: one with a NUL."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, asyncpg.CharacterNotInRepertoireError) or isinstance(
        getattr(cause, "__cause__", None), asyncpg.CharacterNotInRepertoireError
    )


class Database:
    """The pools of one process. Open it before use; close it at the end.

    Args:
        url: As psql takes it.
        pool_size: Connections for plain statements, at most.
        session_pool_size: Connections for sessions, at most.
        acquire_seconds: Longest wait for a connection.
        statement_seconds: Longest run of a statement.
        pgbouncer: Whether the address leads to a pooler that gives every transaction another connection. Statements are
            then not prepared, which costs each a round trip more.
        name: What its pools are called in the metrics, where a process has several.
        plans_afresh: Whether each statement is planned for its own values, which reports gain more from than it costs.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int,
        session_pool_size: int,
        acquire_seconds: float,
        statement_seconds: float,
        pgbouncer: bool = False,
        name: str = "",
        plans_afresh: bool = False,
    ) -> None:
        self._plan_cache_mode = "force_custom_plan" if plans_afresh else "auto"
        self._prefix = f"{name}_" if name else ""
        self._dsn = dsn_of(url)
        self._pool_size = pool_size
        self._session_pool_size = session_pool_size
        self._acquire_seconds = acquire_seconds
        self._statement_seconds = statement_seconds
        self._pgbouncer = pgbouncer
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            connect_args={"async_creator_fn": self._connect, **(_UNPREPARED_SESSIONS if pgbouncer else {})},
            pool_size=session_pool_size,
            max_overflow=0,
            pool_timeout=acquire_seconds,
            pool_pre_ping=True,
        )
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)
        self._pool: Connections | None = None

    async def open(self) -> None:
        """Make the pool of the hot path. It connects when first used, so a database that is down delays no start."""
        self._pool = Connections(self._connect, max_size=self._pool_size, acquire_seconds=self._acquire_seconds)
        self._measure(self._pool)

    async def close(self) -> None:
        """Close both pools."""
        if self._pool is not None:
            await self._pool.close()
        await self._engine.dispose()

    def _measure(self, pool: Connections) -> None:
        """Export this process's pools as metrics."""
        _CONNECTIONS_MAX.labels(f"{self._prefix}chat").set(self._pool_size)
        _CONNECTIONS.labels(f"{self._prefix}chat").set_function(lambda: pool.in_use)
        sessions = cast("QueuePool", self._engine.pool)
        _CONNECTIONS_MAX.labels(f"{self._prefix}session").set(self._session_pool_size)
        _CONNECTIONS.labels(f"{self._prefix}session").set_function(sessions.checkedout)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction: committed when the block ends, rolled back when it raises; commit errors are raised."""
        async with self._sessions() as session:
            yield session
            await session.commit()

    async def run(self, work: Callable[[Connection], Awaitable[ResultT]]) -> ResultT:
        """Do one transaction's work on a plain connection, and repeat it where PostgreSQL ended it in a conflict."""
        for tries_left in reversed(range(_MAX_TRIES)):
            try:
                async with self.connection() as connection:
                    return await work(connection)
            except CONFLICTS:
                if not tries_left:
                    raise
            await asyncio.sleep(random.uniform(0, _RETRY_SECONDS))  # noqa: S311 - jitter
        raise AssertionError("the last try returns or raises")

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """Lend a plain asyncpg connection; a statement outside `connection.transaction()` is its own transaction."""
        if self._pool is None:
            raise RuntimeError("the database was not opened")
        return self._pool.lend()

    async def revision(self) -> str | None:
        """Return the last migration that was applied; None where there are no tables yet.

        It uses a chat's connection, so that it shows whether there is one.
        """
        async with self.connection() as connection:
            try:
                revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
            except asyncpg.UndefinedTableError:
                return None
        return revision

    async def _connect(self) -> Connection:
        """A connection for both; asyncpg reads the address for the sessions too: SQLAlchemy knows no `sslmode`."""
        return await asyncpg.connect(
            self._dsn,
            timeout=self._acquire_seconds,
            command_timeout=self._statement_seconds,
            **(_UNPREPARED if self._pgbouncer else self._kept()),
        )

    def _kept(self) -> dict[str, Any]:
        """Return the settings of a connection for its whole life. PgBouncer refuses them, and has its own for it."""
        # When a machine or network fails in mid-transaction, the server does not notice for hours, and keeps
        # what the transaction has locked. None of our transactions waits between its statements.
        milliseconds = str(round(self._statement_seconds * 1000))
        return {
            "server_settings": {
                "idle_in_transaction_session_timeout": milliseconds,
                "plan_cache_mode": self._plan_cache_mode,
            }
        }
