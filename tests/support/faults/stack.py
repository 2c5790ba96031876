"""The whole software as separate processes with a proxy between any two, to be harmed and healed.

    client -> product_api -> gateway_api -> simulated OpenAI
                    \\-> PostgreSQL

Every arrow is a `Proxy`; every process can be killed, stopped and started alone.
"""

import asyncio
import os
import random
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import aiohttp

from b2b_chat.contract.signing import SignatureError, read_signature, verify
from b2b_chat.product.database_roles import DatabaseOwner
from b2b_chat.product.schema import upgrade_to_head_async
from b2b_chat.sandbox.postgres import APP_USER
from support.faults.processes import DATABASE, Part, Postgres
from support.network.protocols import HttpRequest, Statements, http_requests
from support.network.proxy import Address, Proxy, listening
from support.processes.commands import clean_environ

SHARED_SECRET: Final = "0b0a9fd4b9c34bd78d55d1a9c07ae9f2"
CLOCK_SKEW_SECONDS: Final = 30
LEASE_SECONDS: Final = 3.0
RESUME_WINDOW_SECONDS: Final = 4.0

_HOST: Final = "127.0.0.1"
_DEREGISTRATION_SECONDS: Final = 0.5
"""What a balancer leaves to requests that are on their way to a server when it sends the next ones elsewhere."""
_PORTS: Final = range(20_000, 32_000)
"""Below the range that the system takes clients' ports from, so that a killed server's port stays free."""

PRODUCT_SETTINGS: Final = {
    "APP_ENV": "test",
    "SESSION_SECRET": "3fa9cbe1d84742eabf9ae8a6be1d8c55",
    "AUTH_TOKEN_SECRET": "71cf26b70e7e4c0ea1f3a77d1f6f0c21",
    "INVITE_TOKEN_SECRET": "c6b04e31cf6a4f52930fd6a4f1f0f93b",
    "CHAT_LEASE_SECONDS": str(LEASE_SECONDS),
    "CHAT_RESUME_WINDOW_SECONDS": str(RESUME_WINDOW_SECONDS),
    "SSE_KEEP_ALIVE_SECONDS": "1",
    "GATEWAY_CONNECT_TIMEOUT_SECONDS": "2",
    "GATEWAY_SILENCE_TIMEOUT_SECONDS": "12",
    "GATEWAY_TOTAL_TIMEOUT_SECONDS": "40",
    "CHAT_RPM_PER_COMPANY": "10000000",
    "CHAT_RPM_PER_USER": "10000000",
    "CHAT_RPM_PER_IP": "10000000",
    "CHAT_OPEN_ANSWERS_PER_USER": "10000",
    "CHAT_USER_HOLD_PERCENT": "100",
    "DATABASE_POOL_SIZE": "8",
    "DATABASE_ACQUIRE_TIMEOUT_SECONDS": "2",
    "DATABASE_STATEMENT_TIMEOUT_SECONDS": "3",
    "SHUTDOWN_GRACE_SECONDS": "2",
}
"""Time-outs in seconds where a production has minutes, so that recovery can be watched."""

GATEWAY_SETTINGS: Final = {
    "APP_ENV": "test",
    "OPENAI_API_KEY": "sk-of-the-fault-suite",
    "GATEWAY_CLOCK_SKEW_SECONDS": str(CLOCK_SKEW_SECONDS),
    "GATEWAY_NONCE_TTL_SECONDS": str(4 * CLOCK_SKEW_SECONDS),
    "SSE_KEEP_ALIVE_SECONDS": "1",
    "UPSTREAM_CONNECT_TIMEOUT_SECONDS": "2",
    "UPSTREAM_FIRST_TOKEN_TIMEOUT_SECONDS": "3",
    "UPSTREAM_SILENCE_TIMEOUT_SECONDS": "3",
    "UPSTREAM_TOTAL_TIMEOUT_SECONDS": "30",
    "UPSTREAM_RETRY_BASE_SECONDS": "0.1",
    "UPSTREAM_RETRY_CAP_SECONDS": "2",
    "SHUTDOWN_GRACE_SECONDS": "2",
}

SIMULATOR_SETTINGS: Final = {"OPENAI_SIMULATOR_KEPT_REQUESTS": "100000"}


class FaultStack:
    """Everything, and the ways to harm it."""

    def __init__(self, folder: Path, rng: random.Random, product_settings: Mapping[str, str]) -> None:
        self.folder = folder
        self._product_settings = PRODUCT_SETTINGS | dict(product_settings)
        self.postgres = Postgres(folder / "pg")
        self.statements = Statements()
        self._more_ports = iter(_free_ports(64, rng))
        product, gateway, simulator, client_port, gateway_port, upstream_port, self.spare_port = islice(
            self._more_ports, 7
        )
        self._others: list[Part] = []
        self._usual_targets: dict[Proxy, Address] = {}
        self.accepted_secrets = [SHARED_SECRET.encode()]
        self.verified_request_ids: set[str] = set()
        """Of the calls on the way to the gateway whose signature is right."""
        self.upstream_request_ids: list[str] = []
        """Of the calls on the way to OpenAI."""
        self.client_line = Proxy((_HOST, product), rng=rng)
        self.gateway_line = Proxy((_HOST, gateway), rng=rng, watch=http_requests(self._see_signed_call))
        self.upstream_line = Proxy((_HOST, simulator), rng=rng, watch=http_requests(self._see_upstream_call))
        self.database_line = Proxy(self.postgres.socket, rng=rng, watch=self.statements)
        self._listening_at: dict[Proxy, Address] = {
            self.client_line: (_HOST, client_port),
            self.gateway_line: (_HOST, gateway_port),
            self.upstream_line: (_HOST, upstream_port),
            self.database_line: folder / "line" / ".s.PGSQL.5432",
        }
        self.url = f"http://{_HOST}:{client_port}"
        self.gateway_url = f"http://{_HOST}:{gateway_port}"
        self.database_url = f"postgresql://{APP_USER}@/{DATABASE}?host={folder / 'line'}"
        logs = folder / "logs"
        self.simulator = self._part(
            "openai-simulator", simulator, logs, SIMULATOR_SETTINGS | {"OPENAI_SIMULATOR_PORT": str(simulator)}
        )
        gateway_environ = {
            **GATEWAY_SETTINGS,
            "GATEWAY_PORT": str(gateway),
            "GATEWAY_SHARED_SECRET": SHARED_SECRET,
            "OPENAI_BASE_URL": f"http://{_HOST}:{upstream_port}/v1",
        }
        self.gateway = self._part("gateway", gateway, logs, gateway_environ)
        self.product = self._product(product)

    @property
    def lines(self) -> list[Proxy]:
        """All proxies."""
        return list(self._listening_at)

    @property
    def parts(self) -> list[Part]:
        """All processes of ours."""
        return [self.simulator, self.gateway, self.product]

    def new_port(self) -> int:
        """A port that nothing listens on."""
        return next(self._more_ports)

    def twin(self, part: Part) -> Part:
        """One like a part, with its settings, on a port of its own; `end_others` ends it at the latest."""
        port = self.new_port()
        settings = {**part.environ, f"{part.command.upper()}_PORT": str(port)}
        logs = self.folder / "logs" / f"twin-{port}"
        logs.mkdir()
        other = self._part(part.command, port, logs, settings)
        self._others.append(other)
        return other

    def new_product(self, port: int, **settings: str) -> Part:
        """Another product_api, on a port of its own; `end_others` ends it at the latest."""
        product = self._product(port, **settings)
        self._others.append(product)
        return product

    def end_others(self) -> None:
        """Kill what was started beside the parts."""
        for part in self._others:
            part.kill()
        self._others.clear()

    def _product(self, port: int, **settings: str) -> Part:
        environ = {
            **self._product_settings,
            "PRODUCT_PORT": str(port),
            "DATABASE_URL": self.database_url,
            "GATEWAY_URL": self.gateway_url,
            "GATEWAY_SHARED_SECRET": SHARED_SECRET,
            **settings,
        }
        return self._part("product", port, self.folder / "logs", environ)

    async def heal(self) -> None:
        """Let everything run and nothing be harmed, with the settings that it had at first."""
        self.statements.trap = None
        for line in self.lines:
            line.heal()
        if self.postgres.is_up:
            self.postgres.signal(signal.SIGCONT)
        else:
            await asyncio.to_thread(self.postgres.start)
        for part in self.parts:
            if part.is_running:
                part.signal(signal.SIGCONT)
            if part.is_ending:
                await part.ended()
            if not part.is_running:
                part.launch()
        for part in self.parts:
            await part.wait_until_healthy()

    async def replaced(self, part: Part, line: Proxy, **settings: str) -> Part:
        """Start a part's successor beside it, send all new connections there, and let the part end."""
        port = next(self._more_ports)
        name = f"{part.command.upper()}_PORT"
        successor = self._part(part.command, port, self.folder / "logs", {**part.environ, name: str(port), **settings})
        await successor.start()
        self._others.append(successor)
        self._usual_targets.setdefault(line, line.target)
        line.target = (_HOST, port)
        await asyncio.sleep(_DEREGISTRATION_SECONDS)
        await part.terminate()
        return successor

    async def restored(self) -> None:
        """End what replaced others, and go back to how it was."""
        for line, target in self._usual_targets.items():
            line.target = target
        self.end_others()
        self._usual_targets.clear()
        await self.heal()

    @asynccontextmanager
    async def with_fallback(self, **settings: str) -> AsyncIterator[Part]:
        """A second OpenAI beside the first, and a gateway that knows it too; the calls to it are watched as well."""
        port, line_port = islice(self._more_ports, 2)
        second = self._part(
            "openai-simulator",
            port,
            self.folder / "logs",
            SIMULATOR_SETTINGS | {"OPENAI_SIMULATOR_PORT": str(port)},
        )
        line = Proxy((_HOST, port), watch=http_requests(self._see_upstream_call))
        async with listening(line, (_HOST, line_port)):
            await second.start()
            self._others.append(second)
            fallback = {
                "OPENAI_FALLBACK_BASE_URL": f"http://{_HOST}:{line_port}/v1",
                "OPENAI_FALLBACK_API_KEY": "sk-second-of-the-fault-suite",
            }
            await self.replaced(self.gateway, self.gateway_line, **fallback, **settings)
            try:
                yield second
            finally:
                await self.restored()

    async def calls_seen_by_upstream(self, simulator: Part | None = None) -> list[dict[str, Any]]:
        """The record of a simulator (by default the first), requested past the proxy."""
        url = (simulator or self.simulator).url
        async with aiohttp.ClientSession() as http, http.get(f"{url}/simulator/requests") as response:
            seen: list[dict[str, Any]] = await response.json()
            return seen

    async def forget_calls(self) -> None:
        """Clear the record."""
        async with aiohttp.ClientSession() as http, http.delete(f"{self.simulator.url}/simulator/requests") as response:
            assert response.status == 200
        self.upstream_request_ids.clear()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FaultStack"]:
        """Start everything; stop it at the end."""
        for name in ("logs", "line"):
            (self.folder / name).mkdir()
        async with AsyncExitStack() as stack:
            try:
                self.simulator.launch()
                self.gateway.launch()
                self.postgres.start()
                for line, at in self._listening_at.items():
                    await stack.enter_async_context(listening(line, at))
                await upgrade_to_head_async(DatabaseOwner(self.postgres.url, APP_USER))
                await self.heal()
                yield self
            finally:
                for part in [*self.parts, *self._others]:
                    part.kill()
                if self.postgres.is_up:
                    self.postgres.signal(signal.SIGCONT)
                self.postgres.stop()

    def _part(self, command: str, port: int, logs: Path, environ: Mapping[str, str]) -> Part:
        return Part(command, {**clean_environ(self.folder), **environ}, f"http://{_HOST}:{port}", logs)

    def _see_signed_call(self, request: HttpRequest) -> None:
        try:
            signature = read_signature(request.headers)
            verify(
                self.accepted_secrets,
                signature,
                request.method,
                request.target,
                request.body,
                unix_seconds=time.time(),
                skew_seconds=CLOCK_SKEW_SECONDS,
            )
        except SignatureError:
            return
        self.verified_request_ids.add(request.header(b"x-request-id").decode())

    def _see_upstream_call(self, request: HttpRequest) -> None:
        self.upstream_request_ids.append(request.header(b"x-client-request-id").decode())


@asynccontextmanager
async def fault_stack(rng: random.Random, **product_settings: str) -> AsyncIterator[FaultStack]:
    """A running stack in a short temporary folder: the path of a unix socket may not be long."""
    folder = await asyncio.to_thread(_make_folder)
    try:
        async with FaultStack(folder, rng, product_settings).running() as stack:
            yield stack
    finally:
        if "FAULT_KEEP_LOGS" not in os.environ:
            shutil.rmtree(folder, ignore_errors=True)


def _make_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="b2b-faults-"))
    folder.chmod(0o755)  # PostgreSQL runs as another user where we are root
    return folder


def _free_ports(count: int, rng: random.Random) -> list[int]:
    """So many ports that nothing listens on, outside the range of clients' ports."""
    found: list[int] = []
    for port in rng.sample(_PORTS, 2000):
        with socket.socket() as probe:
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")
