"""Nonces: the same whether in memory or in Valkey, and what becomes of them when Valkey loses its memory."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import TypeAlias

import pytest

from b2b_chat.gateway.nonces import MemoryNonces, NonceStore, NonceStoreUnavailable, ValkeyNonces
from b2b_chat.kit.settings import Secret
from b2b_chat.kit.valkey import Valkey
from b2b_chat.sandbox.ports import free_ports
from b2b_chat.sandbox.valkey import EmbeddedValkey

SKEW_SECONDS = 60
REFUSED_SECONDS = SKEW_SECONDS + 1
"""How far a call's timestamp must be from the birth of the store."""

Claim: TypeAlias = Callable[[bytes], "asyncio.Future[bool]"]


class Clock:
    """The time by which signatures are judged; the test puts it forward."""

    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(time.time() + self.ahead_seconds, UTC)

    @property
    def now(self) -> int:
        return int(self().timestamp())


@pytest.fixture
def clock() -> Clock:
    return Clock()


def nonces_in(valkey: Valkey, clock: Clock | None = None, *, ttl_seconds: int = 2 * SKEW_SECONDS) -> ValkeyNonces:
    return ValkeyNonces(
        valkey, ttl_seconds=ttl_seconds, skew_seconds=SKEW_SECONDS, timeout_seconds=1, clock=clock or Clock()
    )


async def begin(nonces: ValkeyNonces, clock: Clock) -> None:
    """Let the store be born, and grow old enough for calls of the moment."""
    await nonces.notice_loss()
    clock.ahead_seconds += REFUSED_SECONDS + SKEW_SECONDS + 2


@pytest.fixture(params=["memory", "valkey"])
async def nonces(request: pytest.FixtureRequest, valkey: Valkey, clock: Clock) -> NonceStore:
    """A store that is old enough."""
    if request.param == "memory":
        return MemoryNonces(ttl_seconds=2 * SKEW_SECONDS, capacity=1000)
    store = nonces_in(valkey, clock)
    await begin(store, clock)
    return store


async def test_a_nonce_is_new_once(nonces: NonceStore, clock: Clock) -> None:
    assert await nonces.claim(b"a", clock.now)
    assert not await nonces.claim(b"a", clock.now)
    assert await nonces.claim(b"b", clock.now)


async def test_of_many_claims_at_once_one_wins(nonces: NonceStore, clock: Clock) -> None:
    claims = await asyncio.gather(*[nonces.claim(b"a", clock.now) for _ in range(200)])
    assert claims.count(True) == 1


async def test_a_nonce_lives_as_long_as_a_call_may_be_valid_and_longer(valkey: Valkey, clock: Clock) -> None:
    nonces = nonces_in(valkey, clock)
    await begin(nonces, clock)
    await nonces.claim(b"a", clock.now)
    left = await valkey.ask("PTTL", "gateway:nonce:a")
    assert 2 * SKEW_SECONDS * 1000 + 1000 < left <= (2 * SKEW_SECONDS + 2) * 1000


async def test_a_store_without_a_past_refuses_what_may_have_been_let_in_before(valkey: Valkey, clock: Clock) -> None:
    nonces = nonces_in(valkey, clock)
    with pytest.raises(NonceStoreUnavailable):
        await nonces.claim(b"a", clock.now)
    for ahead_seconds in (0, 30, SKEW_SECONDS):
        with pytest.raises(NonceStoreUnavailable):
            await nonces.claim(b"a", clock.now + ahead_seconds)
    clock.ahead_seconds += REFUSED_SECONDS + 2
    assert await nonces.claim(b"a", clock.now)


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB"])
async def test_after_a_flush_no_old_call_is_let_in(valkey: Valkey, clock: Clock, command: str) -> None:
    """Not even one whose timestamp was as far ahead as it may be."""
    nonces = nonces_in(valkey, clock)
    await begin(nonces, clock)
    let_in = [(str(ahead).encode(), clock.now + ahead) for ahead in (-SKEW_SECONDS, 0, SKEW_SECONDS)]
    for nonce, signed_at in let_in:
        assert await nonces.claim(nonce, signed_at)
    await valkey.ask(command)
    for _ in range(3):
        for nonce, signed_at in let_in:
            with pytest.raises(NonceStoreUnavailable):
                await nonces.claim(nonce, signed_at)
    clock.ahead_seconds += REFUSED_SECONDS + 2
    for nonce, signed_at in let_in:
        assert signed_at < clock.now - SKEW_SECONDS or not await _is_let_in(nonces, nonce, signed_at)
    assert await nonces.claim(b"new", clock.now)


async def test_workers_that_race_at_a_birth_agree(valkey: Valkey, clock: Clock) -> None:
    """However many find the store empty at once, none lets in what another refuses."""
    workers = [nonces_in(valkey, clock) for _ in range(8)]
    await begin(workers[0], clock)
    signed_at = clock.now + SKEW_SECONDS
    assert await workers[0].claim(b"a", signed_at)
    for _ in range(20):
        flush = valkey.ask("FLUSHALL")
        outcomes = await asyncio.gather(
            *[_is_let_in(worker, b"a", signed_at) for worker in workers * 4],
            flush,
            *[_is_let_in(worker, b"a", signed_at) for worker in workers * 4],
        )
        assert True not in outcomes


class TestServersThatEnd:
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[EmbeddedValkey]:
        """A Valkey that keeps its data on disk, and that each call asks to do so at once."""
        server = EmbeddedValkey(tmp_path / "valkey", settings={"appendonly": "yes", "appendfsync": "always"})
        server.start()
        yield server
        server.stop()

    async def test_one_that_comes_back_with_its_memory_is_not_believed(
        self, server: EmbeddedValkey, clock: Clock
    ) -> None:
        """Its disk may lack the last writes; nothing can prove that it lacked none."""
        valkey = Valkey(Secret(server.url), timeout_seconds=5, max_connections=4)
        nonces = nonces_in(valkey, clock)
        await begin(nonces, clock)
        signed_at = clock.now
        assert await nonces.claim(b"a", signed_at)
        server.child.ask_to_stop(SIGKILL)
        server.stop()
        server.start()
        await asyncio.sleep(0.05)  # the loop was held up and has yet to see that its connections are gone
        assert await valkey.ask("EXISTS", "gateway:nonces", "gateway:nonce:a") == 2
        with pytest.raises(NonceStoreUnavailable):
            await nonces.claim(b"b", signed_at)
        await valkey.close()

    async def test_one_that_comes_back_empty_lets_no_old_call_in(
        self, own_valkey: EmbeddedValkey, clock: Clock
    ) -> None:
        valkey = Valkey(Secret(own_valkey.url), timeout_seconds=5, max_connections=4)
        nonces = nonces_in(valkey, clock)
        await begin(nonces, clock)
        signed_at = clock.now
        assert await nonces.claim(b"a", signed_at)
        own_valkey.child.ask_to_stop(SIGKILL)
        own_valkey.stop()
        with pytest.raises(NonceStoreUnavailable):
            await nonces.claim(b"b", clock.now)
        own_valkey.start()
        for nonce in (b"a", b"b", b"a"):
            with pytest.raises(NonceStoreUnavailable):
                await nonces.claim(nonce, signed_at)
        clock.ahead_seconds += REFUSED_SECONDS + 2
        assert await nonces.claim(b"c", clock.now)
        await valkey.close()

    async def test_a_replica_that_takes_over_is_not_believed(self, tmp_path: Path, clock: Clock) -> None:
        """It may have missed the last nonces."""
        (port,) = free_ports(1)
        first = EmbeddedValkey(tmp_path / "first", settings={"port": str(port), "bind": "127.0.0.1"})
        second = EmbeddedValkey(tmp_path / "second", settings={"replicaof": f"127.0.0.1 {port}"})
        first.start()
        second.start()
        to_first, to_second = (
            Valkey(Secret(server.url), timeout_seconds=5, max_connections=4) for server in (first, second)
        )
        nonces = nonces_in(to_first, clock)
        await begin(nonces, clock)
        signed_at = clock.now
        assert await nonces.claim(b"a", signed_at)
        async with asyncio.timeout(20):
            while not await to_second.ask("EXISTS", "gateway:nonce:a"):  # noqa: ASYNC110 - another process copies it
                await asyncio.sleep(0.05)
        elsewhere = nonces_in(to_second, clock)
        with pytest.raises(NonceStoreUnavailable):  # a replica takes no writes
            await elsewhere.claim(b"b", signed_at)
        await to_second.ask("REPLICAOF", "NO", "ONE")
        with pytest.raises(NonceStoreUnavailable):
            await elsewhere.claim(b"b", signed_at)
        clock.ahead_seconds += REFUSED_SECONDS + 2
        assert await elsewhere.claim(b"c", clock.now)
        for client in (to_first, to_second):
            await client.close()
        second.stop()
        first.stop()

    async def test_a_frozen_store_refuses_everyone_soon(self, own_valkey: EmbeddedValkey, clock: Clock) -> None:
        valkey = Valkey(Secret(own_valkey.url), timeout_seconds=0.3, max_connections=4)
        nonces = nonces_in(valkey, clock)
        await begin(nonces, clock)
        own_valkey.child.ask_to_stop(SIGSTOP)
        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(*[nonces.claim(b"a", clock.now) for _ in range(50)], return_exceptions=True)
        own_valkey.child.ask_to_stop(SIGCONT)
        assert all(isinstance(outcome, NonceStoreUnavailable) for outcome in outcomes)
        assert await _is_let_in(nonces, b"b", clock.now)
        await valkey.close()


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_valkey_that_throws_keys_out_is_not_used(tmp_path: Path, clock: Clock, policy: str) -> None:
    server = EmbeddedValkey(tmp_path / "valkey", settings={"maxmemory-policy": policy})
    server.start()
    valkey = Valkey(Secret(server.url), timeout_seconds=5, max_connections=4)
    nonces = nonces_in(valkey, clock)
    for _ in range(2):
        await nonces.notice_loss()
        clock.ahead_seconds += REFUSED_SECONDS + 2
        with pytest.raises(NonceStoreUnavailable):
            await nonces.claim(b"a", clock.now)
    await valkey.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    await begin(nonces, clock)
    assert await nonces.claim(b"a", clock.now)
    await valkey.close()
    server.stop()


async def test_a_full_valkey_refuses_everyone(own_valkey: EmbeddedValkey, clock: Clock) -> None:
    valkey = Valkey(Secret(own_valkey.url), timeout_seconds=5, max_connections=4)
    nonces = nonces_in(valkey, clock)
    await begin(nonces, clock)
    await valkey.ask("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(NonceStoreUnavailable):
        await nonces.claim(b"a", clock.now)
    await valkey.ask("CONFIG", "SET", "maxmemory", "100mb")
    assert await nonces.claim(b"a", clock.now)
    await valkey.close()


async def _is_let_in(nonces: NonceStore, nonce: bytes, signed_at: int) -> bool:
    try:
        return await nonces.claim(nonce, signed_at)
    except NonceStoreUnavailable:
        return False
