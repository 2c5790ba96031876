"""Metrics for Prometheus: their endpoint, and those that both apps have.

A metric stands beside the code that it measures. Labels hold codes, route templates and states, never ids: each value
of a label is kept for ever. Each worker exports its own figures on its own port, so a gauge is what this process has
now, processes share nothing, and Prometheus does the sums.
"""

import asyncio
import platform
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics, start_http_server

# A second series for each counter, which nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call] # the library types all but this

ANSWER_BUCKETS_SECONDS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 13.0, 30.0, 60.0, 120.0)
"""For durations that depend on the model."""
_REQUEST_BUCKETS_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_LAG_BUCKETS_SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_LAG_PERIOD_SECONDS: Final = 0.5
_PORT_PERIOD_SECONDS: Final = 1.0
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_REQUESTS = Counter("b2b_chat_requests", "Requests answered; streams at their end.", ["method", "route", "status"])
_REQUEST_SECONDS = Histogram(
    "b2b_chat_request_seconds",
    "Time to answer a request; a stream's is the whole of it.",
    ["method", "route"],
    buckets=_REQUEST_BUCKETS_SECONDS,
)
_LOOP_LAG_SECONDS = Histogram(
    "b2b_chat_event_loop_lag_seconds", "How much later than asked the event loop woke up.", buckets=_LAG_BUCKETS_SECONDS
)
_BUILD = Gauge("b2b_chat_build_info", "1, with the version as its label.", ["version", "python"])
OPEN_STREAMS = Gauge("b2b_chat_open_streams", "Event streams that are being sent.")
DRAINING = Gauge("b2b_chat_draining", "1 from SIGTERM on.")
BACKGROUND_FAILURES = Counter("b2b_chat_background_failures", "Rounds of background work that failed.")

# Looking a series up by its labels costs more than counting, so what was found is kept. Routes are the app's own, and
# methods and statuses are few.
_series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

log = structlog.get_logger(__name__)


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request that was answered.

    Args:
        method: As the client wrote it; an unknown one counts as `other`.
        route: The template of the path.
        status: 0 where the client left before there was one.
        seconds: From the request's headers to the answer's end.
    """
    key = (method, route, status)
    series = _series.get(key)
    if series is None:
        known = method if method in _METHODS else "other"
        series = _REQUESTS.labels(known, route, status), _REQUEST_SECONDS.labels(known, route)
        if known == method:
            _series[key] = series
    requests, request_seconds = series
    requests.inc()
    request_seconds.observe(seconds)


@asynccontextmanager
async def exported(host: str, port: int, *, workers: int) -> AsyncIterator[None]:
    """Show this process's metrics within the block, on the first free port from `port` on that is a worker's.

    A thread serves them, so that a process whose event loop hangs still reports it. A port that is taken ends nothing:
    requests are served, the log reports the missing metrics, and the port is asked for again, because a predecessor
    keeps it until its last answer is done.

    Args:
        host: Address to listen on.
        port: The first worker's port; 0 for none.
        workers: How many ports there are, one each.
    """
    if not port:
        yield
        return
    _BUILD.labels(version("b2b-chat"), platform.python_version()).set(1)
    ports = range(port, port + workers)
    servers: list[WSGIServer] = []
    if not _listen(host, ports, servers):
        log.error("metrics_port_busy", port=port, count=workers)
    waiting = asyncio.create_task(_listen_in_time(host, ports, servers))
    watching = asyncio.create_task(_watch_loop())
    try:
        yield
    finally:
        waiting.cancel()
        watching.cancel()
        for server in servers:
            await asyncio.to_thread(server.shutdown)
            server.server_close()


async def _listen_in_time(host: str, ports: range, servers: list[WSGIServer]) -> None:
    """Ask for a port until there is one."""
    while not servers:
        await asyncio.sleep(_PORT_PERIOD_SECONDS)
        _listen(host, ports, servers)


def _listen(host: str, ports: range, servers: list[WSGIServer]) -> bool:
    """Serve on the first port that is free, and add the server; return whether there was one."""
    for port in ports:
        try:
            server, _ = start_http_server(port, addr=host)
        except OSError:
            continue
        log.info("metrics_exported", port=port)
        servers.append(server)
        return True
    return False


async def _watch_loop() -> None:
    """Measure how late the event loop is, twice a second."""
    loop = asyncio.get_running_loop()
    while True:
        due_at = loop.time() + _LAG_PERIOD_SECONDS
        await asyncio.sleep(_LAG_PERIOD_SECONDS)
        _LOOP_LAG_SECONDS.observe(max(0.0, loop.time() - due_at))
