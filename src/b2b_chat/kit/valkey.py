"""Valkey, or a compatible Redis: the state that workers and machines of an app share.

Every command has one time limit, and every failure is one error, `ValkeyUnavailable`. There is nothing to open:
connections are made when needed, also after an outage, and kept.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final, Protocol, TypeAlias
from urllib.parse import urlsplit

import structlog
from msgspec import Meta
from prometheus_client import Counter, Gauge, Histogram
from valkey.asyncio import ConnectionPool
from valkey.asyncio import Valkey as Client
from valkey.asyncio.client import PubSub
from valkey.exceptions import NoScriptError, ValkeyError

from b2b_chat.kit.secret_quality import looks_like_placeholder
from b2b_chat.kit.settings import Secret, is_documentation_host, is_on_this_host

ValkeyUrl: TypeAlias = Annotated[
    Secret | None,
    Meta(
        description=(
            "Valkey or Redis, which workers and machines share: valkey://user:password@host:6379/0, valkeys://… with "
            "TLS, or unix:///path. Required where WORKERS is more than 1"
        )
    ),
]
ValkeyCaFile: TypeAlias = Annotated[
    str | None, Meta(description="File of certificates to trust beside the system's, for a private Valkey")
]
ValkeyTimeoutSeconds: TypeAlias = Annotated[
    float, Meta(ge=0.05, le=30, description="Longest wait for Valkey, connecting included, seconds")
]
ValkeyMaxConnections: TypeAlias = Annotated[
    int, Meta(ge=1, le=1000, description="Connections to Valkey, per process; more commands at once wait their turn")
]

Argument: TypeAlias = bytes | str | int | float

_TLS_SCHEMES: Final = frozenset({"valkeys", "rediss"})
_TCP_SCHEMES: Final = frozenset({"valkey", "redis"}) | _TLS_SCHEMES
_FAILURES: Final = (ValkeyError, OSError)
"""All failures; a TimeoutError is an OSError."""

_SECONDS = Histogram(
    "b2b_chat_valkey_seconds",
    "Time of a round trip to Valkey, the wait for a connection included.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
)
_FAILURES_TOTAL = Counter("b2b_chat_valkey_failures", "Round trips to Valkey that failed or took too long.")
_AWAY = Gauge("b2b_chat_valkey_away", "1 from a failed round trip to Valkey until the next that does not fail.")

log = structlog.get_logger(__name__)


class ValkeyUnavailable(Exception):
    """Valkey failed, or did not answer in time; the command may have been executed all the same."""


class Script:
    """A script in Lua, which Valkey runs atomically."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        """The name under which Valkey caches a script."""


class Valkey:
    """One Valkey server, used by one process.

    Args:
        url: As `ValkeyUrl` describes it.
        timeout_seconds: Longest wait for a command, the wait for a connection included.
        max_connections: Commands under way at once; more of them wait.
        ca_file: Certificates to trust beside the system's.
    """

    def __init__(
        self, url: Secret, *, timeout_seconds: float, max_connections: int, ca_file: str | None = None
    ) -> None:
        tls: dict[str, Any] = {}
        if urlsplit(url.reveal()).scheme in _TLS_SCHEMES:
            tls = {"ssl_check_hostname": True, "ssl_ca_certs": ca_file}
        # No time limits of the library's: it starts a task for each write with one, and ours is around all of it. Nor
        # its blocking pool, which loses a connection when a release is cancelled.
        pool: ConnectionPool = ConnectionPool.from_url(
            url.reveal(), socket_timeout=None, lib_name=None, lib_version=None, **tls
        )
        self._client: Any = Client(connection_pool=pool)
        # Answers as the server gives them: the library would turn what `SET … GET` found into True or False.
        self._client.response_callbacks.clear()
        self._timeout_seconds = timeout_seconds
        self._free = asyncio.Semaphore(max_connections)
        self._is_away = False

    async def ask(self, *command: Argument) -> Any:
        """Send one command, as `ask("SET", key, value, "NX")`, and return the answer as the server gives it.

        Raises:
            ValkeyUnavailable: There was no answer in time, or it was an error.
        """
        begun_at = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_seconds), self._free:
                answer = await self._client.execute_command(*command)
        except _FAILURES as error:
            raise self._failed(error) from error
        self._answered(begun_at)
        return answer

    async def check(self) -> None:
        """Return if the server answers.

        Raises:
            ValkeyUnavailable: It does not.
        """
        await self.ask("PING")

    async def run(self, script: Script, keys: Sequence[Argument], arguments: Sequence[Argument] = ()) -> Any:
        """Run a script and return its result. It is sent by name, and in full only to a server that does not know it.

        Raises:
            ValkeyUnavailable: There was no answer in time, or it was an error.
        """
        rest = (len(keys), *keys, *arguments)
        begun_at = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_seconds), self._free:
                try:
                    answer = await self._client.execute_command("EVALSHA", script.digest, *rest)
                except NoScriptError:
                    answer = await self._client.execute_command("EVAL", script.source, *rest)
        except _FAILURES as error:
            raise self._failed(error) from error
        self._answered(begun_at)
        return answer

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[Client]:
        """The library's client, for commands that belong together, within one time limit.

        Raises:
            ValkeyUnavailable: The block did not come to its end in time, or met an error of Valkey's.
        """
        begun_at = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_seconds), self._free:
                yield self._client
        except _FAILURES as error:
            raise self._failed(error) from error
        self._answered(begun_at)

    @asynccontextmanager
    async def listening(self, *channels: str) -> AsyncIterator[PubSub]:
        """Subscribe to channels, on a connection of its own, until the block ends.

        Raises:
            ValkeyError, OSError: The library's own errors: the connection could not be made, or broke.
        """
        pubsub = self._client.pubsub()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await pubsub.subscribe(*channels)
            yield pubsub
        finally:
            await pubsub.aclose()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose(close_connection_pool=True)

    def _failed(self, error: BaseException) -> ValkeyUnavailable:
        """Return the error to raise, after logging the first of an outage."""
        _FAILURES_TOTAL.inc()
        if not self._is_away:
            self._is_away = True
            _AWAY.set(1)
            log.warning("valkey_unavailable", exc_info=error)
        return ValkeyUnavailable()

    def _answered(self, begun_at: float) -> None:
        _SECONDS.observe(time.perf_counter() - begun_at)
        if self._is_away:
            self._is_away = False
            _AWAY.set(0)
            log.info("valkey_available")


class ValkeySettings(Protocol):
    """The settings of Valkey that an app has."""

    @property
    def workers(self) -> int:
        """How many processes the app has."""

    @property
    def valkey_url(self) -> Secret | None:
        """Where it is."""

    @property
    def valkey_ca_file(self) -> str | None:
        """What vouches for it."""

    @property
    def valkey_timeout_seconds(self) -> float:
        """How long it is waited for."""

    @property
    def valkey_max_connections(self) -> int:
        """How many commands may be under way."""


def valkey_of(settings: ValkeySettings) -> Valkey | None:
    """Return the Valkey of these settings, if they name one."""
    if settings.valkey_url is None:
        return None
    return Valkey(
        settings.valkey_url,
        timeout_seconds=settings.valkey_timeout_seconds,
        max_connections=settings.valkey_max_connections,
        ca_file=settings.valkey_ca_file,
    )


def valkey_problems(settings: ValkeySettings) -> Iterator[str]:
    """Return what is wrong with these settings of Valkey, one line each."""
    if settings.valkey_url is not None:
        problem = _url_problem(settings.valkey_url.reveal())
        if problem is not None:
            yield f"VALKEY_URL {problem}"
    elif settings.workers > 1:
        yield "VALKEY_URL is required where WORKERS is more than 1: what the workers must share is kept there."


def unsafe_valkey(settings: ValkeySettings) -> Iterator[str]:
    """Return why production refuses an address of Valkey, one line each: messages pass through it."""
    if settings.valkey_url is None or _url_problem(settings.valkey_url.reveal()) is not None:
        return  # reported already, if there is anything to report
    parts = urlsplit(settings.valkey_url.reveal())
    host = parts.hostname or "localhost"
    if is_documentation_host(host):
        yield "VALKEY_URL still has the address of an example."
    elif parts.scheme not in {"unix", *_TLS_SCHEMES} and not is_on_this_host(host):
        yield "VALKEY_URL must begin with valkeys:// in production where it leads to another host."
    if looks_like_placeholder(parts.password or ""):
        yield "VALKEY_URL has a password that looks like a placeholder."


def _url_problem(url: str) -> str | None:
    """Return what is wrong with an address of Valkey, in words that follow its variable's name; None if nothing is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL."
    if parts.query or parts.fragment:
        return "must have no query and no fragment; VALKEY_… variables say the rest."
    if parts.scheme == "unix":
        return None if parts.path else "must name a socket: unix:///path."
    if parts.scheme not in _TCP_SCHEMES or not host:
        return (
            "must be as valkey://user:password@host:6379/0, or begin with valkeys://, redis://, rediss:// or unix://."
        )
    if parts.path.strip("/") and not parts.path.strip("/").isdecimal():
        return "must end with the number of a database, if with anything: valkey://host:6379/0."
    return None
