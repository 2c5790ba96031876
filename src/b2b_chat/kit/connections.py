"""A pool of plain asyncpg connections that costs a statement next to nothing.

asyncpg's own pool takes longer than a select by primary key does: each loan costs a proxy, two time-outs and a shielded
task. Here a loan of an idle connection is a list's pop and append.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeAlias

import asyncpg

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection  # generic for type checkers only

_MAX_IDLE_SECONDS: Final = 300
"""A firewall may have dropped a connection that was idle for longer, and neither end would notice."""


class Connections:
    """A bounded pool of connections. Each is lent to one borrower at a time; the one used last is lent first.

    Args:
        connect: Opens a connection.
        max_size: How many there may be.
        acquire_seconds: Longest wait for one, and for the end of one that is given up.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, max_size: int, acquire_seconds: float) -> None:
        self._connect = connect
        self._max_size = max_size
        self._acquire_seconds = acquire_seconds
        self._idle: list[tuple[float, Connection]] = []
        self._slots_taken = 0
        """Taken by connections that are open, being opened or being closed."""
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def in_use(self) -> int:
        """Return how many connections are lent, being opened or being closed."""
        return self._slots_taken - len(self._idle)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Connection]:
        """Lend a connection for a block.

        Raises:
            TimeoutError: None came free, or PostgreSQL did not answer.
        """
        connection = await self._take()
        try:
            yield connection
        except (asyncio.CancelledError, TimeoutError):
            # Its statement was cancelled, but PostgreSQL may not know yet and might cancel the next one.
            self._give_up(connection)
            raise
        except BaseException:
            self._put_back(connection)
            raise
        self._put_back(connection)

    async def close(self) -> None:
        """Close all idle connections now, and each of the others when it comes back."""
        self._is_closed = True
        while self._idle:
            self._give_up(self._idle.pop()[1])
        if self._closing:
            await asyncio.wait(self._closing)

    async def _take(self) -> Connection:
        if self._idle:
            idle_since, connection = self._idle.pop()
            if asyncio.get_running_loop().time() - idle_since < _MAX_IDLE_SECONDS and not connection.is_closed():
                return connection
            connection.terminate()
        elif self._slots_taken < self._max_size:
            self._slots_taken += 1
        elif (handed := await self._wait()) is not None:
            return handed
        return await self._open()

    async def _open(self) -> Connection:
        """Open a connection in a slot that was taken for it."""
        try:
            return await self._connect()
        except BaseException:
            self._free_slot()
            raise

    async def _wait(self) -> Connection | None:
        """Wait for the first connection to become free; None stands for the slot of a closed one."""
        waiting: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(self._acquire_seconds):
                return await waiting
        except BaseException:
            if waiting.done() and not waiting.cancelled():  # it came in the same moment
                handed = waiting.result()
                self._free_slot() if handed is None else self._put_back(handed)
            raise

    def _put_back(self, connection: Connection) -> None:
        if connection.is_closed():
            self._free_slot()
        elif self._is_closed or connection.is_in_transaction():
            self._give_up(connection)
        elif not self._hand_on(connection):
            self._idle.append((asyncio.get_running_loop().time(), connection))

    def _free_slot(self) -> None:
        if not self._hand_on(None):
            self._slots_taken -= 1

    def _hand_on(self, freed: Connection | None) -> bool:
        """Give a connection, or a slot, to the longest waiter; return False if there is none."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(freed)
                return True
        return False

    def _give_up(self, connection: Connection) -> None:
        closing = asyncio.create_task(self._close(connection))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _close(self, connection: Connection) -> None:
        """Close a connection, gracefully if possible, and free its slot only then, so that the bound holds."""
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            async with asyncio.timeout(self._acquire_seconds):
                await connection.close()
        self._free_slot()
