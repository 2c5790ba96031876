"""`GET /health`: the process is alive. `GET /ready`: it can do its work now, and everything that it needs is there.

Both are open to all, and say no more than our version and names of parts. A process that is not ready should get no
traffic, but a restart does not help: what it lacks is elsewhere.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import Final, Literal

import structlog
from litestar import get, head
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import SkipValidation
from msgspec import Struct

from b2b_chat.kit.errors import Refusal

Check = Callable[[], Awaitable[str | None]]
"""Checks one part. Returns None where it is ready, else the closest name of what is not; raises if it cannot know."""

log = structlog.get_logger(__name__)


class Health(Struct, frozen=True):
    """The process is up."""

    status: Literal["ok"]
    version: str


class Ready(Struct, frozen=True):
    """The process and all that it needs are ready."""

    status: Literal["ready"]


class NotReady(Refusal):
    """Something that the process needs is missing."""

    code, status = "not_ready", 503
    retryable = True
    message = "Not ready."

    def __init__(self, parts: list[str]) -> None:
        super().__init__(f"Not ready: {', '.join(parts)}.", headers={"Retry-After": "1"})
        self.parts = parts


_OK: Final = Health("ok", version("b2b-chat"))
_READY: Final = Ready("ready")


@get("/health", operation_id="getHealth", tags=["health"], security=[{}], sync_to_thread=False)
def health() -> Health:
    """Report that the process serves requests, and its version."""
    return _OK


@head("/health", include_in_schema=False, sync_to_thread=False)
def health_head() -> None:
    """The same for probes that want no body."""


class Readiness:
    """Checks all parts concurrently, and caches the result for a while, so that no caller can overload them.

    Args:
        checks: By the name of the part.
        cache_seconds: How long a result is cached.
        timeout_seconds: A part that does not answer within it is not ready.
    """

    def __init__(self, checks: Mapping[str, Check], *, cache_seconds: float, timeout_seconds: float) -> None:
        self._checks = checks
        self._cache_seconds = cache_seconds
        self._timeout_seconds = timeout_seconds
        self._asking = asyncio.Lock()
        self._found: Mapping[str, str | None] = {}
        self._found_until = -1.0

    async def missing(self) -> Mapping[str, str | None]:
        """Return what is missing of each part, by its closest name; None where the part is ready."""
        async with self._asking:
            if time.monotonic() >= self._found_until:
                found = await asyncio.gather(*(self._ask(name, check) for name, check in self._checks.items()))
                self._found = dict(zip(self._checks, found, strict=True))
                self._found_until = time.monotonic() + self._cache_seconds
            return self._found

    async def ensure(self) -> None:
        """Return if all parts are ready.

        Raises:
            NotReady: Some are not; it names them.
        """
        missing = [name for name in (await self.missing()).values() if name is not None]
        if missing:
            raise NotReady(missing)

    async def _ask(self, name: str, check: Check) -> str | None:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await check()
        except Exception as error:
            log.warning("not_ready", place=name, exc_info=error)
            return name


def ready_route(responses: Mapping[int, ResponseSpec]) -> list[HTTPRouteHandler]:
    """`/ready` with its failures as the app words them; the app provides `readiness`."""

    @get("/ready", operation_id="getReadiness", tags=["health"], security=[{}], responses=responses)
    async def ready(readiness: NamedDependency[SkipValidation[Readiness]]) -> Ready:
        """Report whether everything that an answer needs is there; if not, what is missing."""
        await readiness.ensure()
        return _READY

    @head("/ready", include_in_schema=False)
    async def ready_head(readiness: NamedDependency[SkipValidation[Readiness]]) -> None:
        """The same for probes that want no body."""
        await readiness.ensure()

    return [ready, ready_head]


def draining_check(is_draining: Callable[[], bool]) -> Check:
    """Whether the process still takes new work."""

    async def check() -> str | None:
        return "draining" if is_draining() else None

    return check
