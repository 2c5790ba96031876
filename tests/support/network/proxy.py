"""A proxy between any two processes that harms the traffic as a test orders while it runs.

It listens on a TCP port or a unix socket and connects to either. `Proxy.requests` is the way from the client to the
server, `Proxy.replies` the way back; each has toxics of its own, which hold for connections old and new.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

Address = tuple[str, int] | Path
"""A host and port, or the path of a unix socket."""

Watch = Callable[[bytes], Awaitable[None]]
"""Is shown what a client sends before it is passed on, which waits until it returns; it may raise `Cut`."""

_CHUNK_BYTES: Final = 65_536
_HALF: Final = 0.5
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Cut(Exception):
    """The connection is to be closed here and now."""


@dataclass
class Toxics:
    """What happens to the bytes of one direction."""

    latency_seconds: float = 0.0
    """Each piece is held so long."""
    jitter_seconds: float = 0.0
    """And up to so much longer, at random."""
    slice_bytes: int = 0
    """Pieces are written in parts of this size, each on its own; 0 leaves them whole."""
    bytes_per_second: float = 0.0
    """Pieces wait as long as this bandwidth would take for them; 0 is without limit."""
    limit_bytes: int | None = None
    """The connection is closed after so many bytes since its start."""
    limit_resets: bool = False
    """Whether that is a reset instead of an orderly end."""
    random_limit_bytes: int = 0
    """Each connection ends, one way or the other, after a number of bytes of its own up to this; 0 is without limit."""

    def parts(self, data: bytes) -> Iterator[bytes]:
        """A piece as it is to be written."""
        size = self.slice_bytes or len(data)
        for start in range(0, len(data), size):
            yield data[start : start + size]

    def delay_seconds(self, part: bytes, rng: Random) -> float:
        """How long a part waits."""
        seconds = self.latency_seconds + rng.uniform(0, self.jitter_seconds)
        return seconds + (len(part) / self.bytes_per_second if self.bytes_per_second else 0.0)


class Way:
    """One direction of all connections."""

    def __init__(self) -> None:
        self.toxics = Toxics()
        self.passed_bytes = 0
        """Of all connections, since the start."""
        self._flows = asyncio.Event()
        self._flows.set()

    def freeze(self) -> None:
        """Half-open: pass nothing on, and close nothing either, not even what the other end has closed."""
        self._flows.clear()

    def heal(self) -> None:
        """Be harmless again; what was held goes on."""
        self.toxics = Toxics()
        self._flows.set()

    async def wait_while_frozen(self) -> None:
        """Return once bytes may pass."""
        await self._flows.wait()


class Link:
    """One connection through the proxy: the two sockets, and a way to end both."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.writers = (client, server)
        self.replies_flow = asyncio.Event()
        """Cleared, this connection alone is half-open: what the server says is held back."""
        self.replies_flow.set()

    def close(self, *, reset: bool = False) -> None:
        """End both sides, in order or by a reset."""
        for writer in self.writers:
            if reset:
                connection = writer.get_extra_info("socket")
                with suppress(OSError):
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                writer.transport.abort()
            else:
                writer.close()


class Proxy:
    """Passes connections on to `target`.

    Args:
        target: Where they go.
        rng: Jitter comes from it.
        watch: Makes, for each connection, a watch on what its client sends.
    """

    def __init__(
        self, target: Address, *, rng: Random | None = None, watch: Callable[[Link], Watch] | None = None
    ) -> None:
        self.target = target
        self.at: Address | None = None
        """Where it listens."""
        self.requests = Way()
        self.replies = Way()
        self.is_down = False
        """Whether new connections are reset at once."""
        self.connections = 0
        """How many there have been."""
        self._rng = rng or Random()
        self._watch = watch
        self._links: set[Link] = set()
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def live_connections(self) -> int:
        """How many are open now."""
        return len(self._links)

    def seed(self, seed: int) -> None:
        """Begin its randomness anew."""
        self._rng.seed(seed)

    def heal(self) -> None:
        """Be harmless again."""
        self.is_down = False
        self.requests.heal()
        self.replies.heal()

    def drop_all(self, *, reset: bool = False) -> None:
        """End the connections that are open now."""
        for link in list(self._links):
            link.close(reset=reset)

    async def close(self) -> None:
        """End everything."""
        self.drop_all(reset=True)
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; a cancelled one ends like any other."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self.connections += 1
        try:
            with suppress(asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._serving.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_down:
            Link(writer, writer).close(reset=True)
            return
        try:
            server_reader, server_writer = await _connect(self.target)
        except OSError:
            Link(writer, writer).close(reset=True)
            return
        link = Link(writer, server_writer)
        self._links.add(link)
        watch = self._watch(link) if self._watch else _see_nothing
        pumps = [
            asyncio.create_task(self._pump(reader, server_writer, self.requests, link, watch)),
            asyncio.create_task(self._pump(server_reader, writer, self.replies, link, _held_with(link))),
        ]
        try:
            # One side has ended, so the other has no peer. HTTP and PostgreSQL both lack a half-close.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)
            link.close()
            self._links.discard(link)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way, link: Link, watch: Watch
    ) -> None:
        passed = 0
        drawn = self._rng.random()
        try:
            while data := await reader.read(_CHUNK_BYTES):
                await way.wait_while_frozen()
                await watch(data)
                for part in way.toxics.parts(data):
                    if (seconds := way.toxics.delay_seconds(part, self._rng)) > 0:
                        await asyncio.sleep(seconds)
                    await way.wait_while_frozen()
                    limit, resets = way.toxics.limit_bytes, way.toxics.limit_resets
                    if way.toxics.random_limit_bytes:
                        limit, resets = round(drawn * way.toxics.random_limit_bytes), self._rng.random() < _HALF
                    within = part if limit is None else part[: max(0, limit - passed)]
                    writer.write(within)
                    await writer.drain()
                    passed += len(within)
                    way.passed_bytes += len(within)
                    if limit is not None and passed >= limit:
                        link.close(reset=resets)
                        return
            await way.wait_while_frozen()
        except Cut:
            link.close()
        except OSError:
            link.close(reset=True)


async def _see_nothing(_data: bytes) -> None:
    """Watch nothing."""


def _held_with(link: Link) -> Watch:
    """Holds replies back while the connection alone is half-open."""

    async def hold(_data: bytes) -> None:
        await link.replies_flow.wait()

    return hold


async def _connect(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(address, Path):
        return await asyncio.open_unix_connection(address)
    return await asyncio.open_connection(*address)


@asynccontextmanager
async def listening(proxy: Proxy, at: Address) -> AsyncIterator[Proxy]:
    """Let a proxy listen there."""
    proxy.at = at
    if isinstance(at, Path):
        server = await asyncio.start_unix_server(proxy.serve, at)
    else:
        server = await asyncio.start_server(proxy.serve, *at)
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
