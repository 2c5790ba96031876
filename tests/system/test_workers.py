"""Four workers of each app, as real processes on one Valkey."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Final
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from b2b_chat.contract.schemas import PING_PATH
from b2b_chat.contract.signing import sign
from b2b_chat.kit.settings import Secret
from b2b_chat.kit.valkey import Valkey
from b2b_chat.sandbox.ports import free_ports
from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.database.world import Person, open_world
from support.faults.processes import Part
from support.gateway.app import API_KEY, SECRET, UNUSED_URL
from support.gateway.fake import fake_gateway
from support.processes.commands import clean_environ
from support.product.app import environ as product_environ

WORKERS: Final = 4
AT_ONCE: Final = 200
ROUNDS: Final = 5
SKEW_SECONDS: Final = 4
VALKEY_TIMEOUT_SECONDS: Final = 0.5
LET_IN: Final = (200, None)
REPLAYED: Final = (401, "replayed_nonce")
STALE: Final = (401, "stale_timestamp")
REFUSED: Final = (503, "nonce_store_unavailable")

Outcome = tuple[int, str | None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    """A Valkey that these tests freeze and kill; each leaves it running."""
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture(scope="module")
async def gateway(server: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Part]:
    """A gateway of four workers, which lets calls in."""
    home = tmp_path_factory.mktemp("gateway")
    (port,) = free_ports(1)
    environ = clean_environ(
        home,
        APP_ENV="test",
        GATEWAY_PORT=str(port),
        GATEWAY_SHARED_SECRET=SECRET,
        GATEWAY_CLOCK_SKEW_SECONDS=str(SKEW_SECONDS),
        OPENAI_API_KEY=API_KEY,
        OPENAI_BASE_URL=UNUSED_URL,
        WORKERS=str(WORKERS),
        VALKEY_URL=server.url,
        VALKEY_TIMEOUT_SECONDS=str(VALKEY_TIMEOUT_SECONDS),
    )
    part = Part("gateway", environ, f"http://127.0.0.1:{port}", home)
    await part.start()
    async with callers() as http:
        await until_let_in(part, http)
    yield part
    part.kill()


def callers() -> aiohttp.ClientSession:
    """A client that has a connection for each call under way, so that the system spreads them over the workers.

    Not httpx, which takes so long for many calls at once that nonces expire before they are replayed.
    """
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(30))


def signed() -> dict[str, str]:
    return sign(SECRET.encode(), "GET", PING_PATH, b"", unix_seconds=int(time.time()))


async def ping(part: Part, http: aiohttp.ClientSession, headers: dict[str, str]) -> Outcome:
    async with http.get(part.url + PING_PATH, headers=headers) as response:
        body = await response.json()
        return response.status, body["error"]["code"] if response.status != 200 else None


async def until_let_in(part: Part, http: aiohttp.ClientSession) -> None:
    """Return once calls are let in again, which they are soon and without a restart."""
    async with asyncio.timeout(20):
        while (outcome := await ping(part, http, signed())) != LET_IN:
            assert outcome == REFUSED
            await asyncio.sleep(0.1)


def workers_with_connections(part: Part) -> int:
    """How many of the processes have connections of callers."""
    port = int(part.url.rpartition(":")[2])
    return sum(
        any(each.laddr.port == port and each.status == "ESTABLISHED" for each in process.net_connections("tcp"))
        for process in part.processes
    )


def only_one_was_let_in(outcomes: Sequence[Outcome]) -> bool:
    """Whether all others were refused for their nonce; on a very busy machine some come too late for that."""
    counts = Counter(outcomes)
    assert counts[REPLAYED] > AT_ONCE // 4
    return counts[LET_IN] == 1 and counts[REPLAYED] + counts[STALE] == len(outcomes) - 1


async def until_all_serve(part: Part) -> None:
    """Return once every worker has taken a connection: the first to be ready answers while others still import."""

    async def is_healthy(http: aiohttp.ClientSession) -> bool:
        async with http.get(f"{part.url}/health") as response:
            return response.status == 200

    async with asyncio.timeout(60):
        while True:
            async with callers() as http:  # with new connections each time
                assert all(await asyncio.gather(*[is_healthy(http) for _ in range(64)]))
                if workers_with_connections(part) == WORKERS:
                    return
            await asyncio.sleep(0.2)


async def test_one_nonce_is_let_in_once_by_all_workers_together(gateway: Part) -> None:
    async with callers() as http:
        await until_all_serve(gateway)
        for _ in range(ROUNDS):
            headers = signed()
            outcomes = await asyncio.gather(*[ping(gateway, http, headers) for _ in range(AT_ONCE)])
            assert only_one_was_let_in(outcomes)


async def test_after_a_flush_no_worker_lets_an_old_call_in(gateway: Part, server: EmbeddedValkey) -> None:
    valkey = Valkey(Secret(server.url), timeout_seconds=5, max_connections=1)
    async with callers() as http:
        await until_let_in(gateway, http)
        headers = signed()
        assert await ping(gateway, http, headers) == LET_IN
        await valkey.ask("FLUSHALL")
        while time.time() <= int(headers["X-Timestamp"]) + SKEW_SECONDS:
            outcomes = await asyncio.gather(*[ping(gateway, http, headers) for _ in range(40)])
            assert LET_IN not in outcomes
        assert await ping(gateway, http, headers) == STALE
        await until_let_in(gateway, http)
    await valkey.close()


@pytest.mark.parametrize("is_frozen", [True, False], ids=["frozen", "killed"])
async def test_without_valkey_every_call_is_refused_soon_and_none_hangs(
    gateway: Part, server: EmbeddedValkey, is_frozen: bool
) -> None:
    """Under load; once it is back, empty, no call of before is let in again."""
    async with callers() as http:
        await until_let_in(gateway, http)
        old = signed()
        assert await ping(gateway, http, old) == LET_IN
        outcomes: list[Outcome] = []
        waits: list[float] = []

        async def load() -> None:
            while True:
                started_at = time.monotonic()
                outcomes.append(await ping(gateway, http, signed()))
                waits.append(time.monotonic() - started_at)

        loads = [asyncio.create_task(load()) for _ in range(32)]
        await asyncio.sleep(0.3)
        assert set(outcomes) == {LET_IN}
        server.child.ask_to_stop(SIGSTOP if is_frozen else SIGKILL)
        await asyncio.sleep(VALKEY_TIMEOUT_SECONDS + 0.5)  # what was under way has ended by now
        outcomes.clear()
        waits.clear()
        await asyncio.sleep(1.5)
        assert set(outcomes) == {REFUSED}
        assert max(waits) < 15  # far from any client's patience, and generous to a busy machine
        for task in loads:
            task.cancel()
        await asyncio.gather(*loads, return_exceptions=True)
        if is_frozen:
            server.child.ask_to_stop(SIGCONT)
        else:
            server.stop()
            server.start()
        assert LET_IN not in await asyncio.gather(*[ping(gateway, http, old) for _ in range(40)])
        await until_let_in(gateway, http)
        headers = signed()
        assert only_one_was_let_in(await asyncio.gather(*[ping(gateway, http, headers) for _ in range(AT_ONCE)]))


class TestLimits:
    PER_USER: Final = 50
    SENT: Final = 120

    @asynccontextmanager
    async def product(
        self, server: EmbeddedValkey, database_url: str, gateway_url: str, home: Path
    ) -> AsyncIterator[Part]:
        """A product_api of four workers."""
        (port,) = free_ports(1)
        variables = {
            "PRODUCT_PORT": str(port),
            "WORKERS": str(WORKERS),
            "VALKEY_URL": server.url,
            # A worker that is too busy to receive the reply in time admits a few chats by its own count.
            "VALKEY_TIMEOUT_SECONDS": "10",
            "CHAT_RPM_PER_USER": str(self.PER_USER),
            "CHAT_LOCAL_LIMIT_PERCENT": "10",
            "DATABASE_POOL_SIZE": "4",
            "DATABASE_ACQUIRE_TIMEOUT_SECONDS": "30",
            "DATABASE_SESSION_POOL_SIZE": "2",
        }
        environ = clean_environ(home, **product_environ(database_url, gateway_url, **variables))
        part = Part("product", environ, f"http://127.0.0.1:{port}", home)
        try:
            await part.start()
            yield part
        finally:
            part.kill()

    async def test_they_are_exact_over_all_workers_and_stricter_without_valkey(
        self, server: EmbeddedValkey, database_url: str, tmp_path: Path
    ) -> None:
        async with (
            open_world(database_url) as world,
            fake_gateway() as answering,
            self.product(server, database_url, answering.url, tmp_path) as product,
            callers() as http,
        ):
            person = await world.person()
            await until_all_serve(product)
            exact = {200: self.PER_USER, 429: self.SENT - self.PER_USER}
            assert await self.send_all(product, http, person) == exact
            server.child.ask_to_stop(SIGKILL)
            server.stop()
            try:
                sent = await self.send_all(product, http, person)
                own = self.PER_USER // 10
                assert own <= sent[200] <= WORKERS * own
                assert sent[200] + sent[429] == self.SENT
                assert await self.ask_for_a_link(product, http) == (503, "limits_unavailable")
            finally:
                server.start()
            async with asyncio.timeout(20):
                while await self.ask_for_a_link(product, http) != (202, None):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.05)
            assert await self.send_all(product, http, person) == exact

    async def send_all(self, product: Part, http: aiohttp.ClientSession, person: Person) -> Counter[int]:
        """How many of so many different chats at once had which status."""
        return Counter(await asyncio.gather(*[self.send(product, http, person) for _ in range(self.SENT)]))

    async def send(self, product: Part, http: aiohttp.ClientSession, person: Person) -> int:
        body = {"client_message_id": str(uuid4()), "text": "Hello"}
        headers = {"Authorization": f"Bearer {person.api_key}"}
        async with http.post(f"{product.url}/v1/chat", json=body, headers=headers) as response:
            return response.status

    async def ask_for_a_link(self, product: Part, http: aiohttp.ClientSession) -> Outcome:
        async with http.post(f"{product.url}/auth/request-link", json={"email": "ann@example.test"}) as response:
            body = await response.json()
            return response.status, body["detail"]["code"] if response.status != 202 else None
