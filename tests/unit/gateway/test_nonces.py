import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2b_chat.contract.signing import StaleTimestamp
from b2b_chat.gateway.nonces import MemoryNonces, NonceStoreUnavailable


class HeldClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def nonces(clock: HeldClock) -> MemoryNonces:
    return MemoryNonces(ttl_seconds=120, capacity=3, clock=clock)


async def test_a_nonce_is_new_once(nonces: MemoryNonces) -> None:
    assert await nonces.claim(b"a", 0)
    assert not await nonces.claim(b"a", 0)
    assert await nonces.claim(b"b", 0)


async def test_of_many_claims_at_once_one_wins(nonces: MemoryNonces) -> None:
    claims = await asyncio.gather(*[nonces.claim(b"a", 0) for _ in range(100)])
    assert claims.count(True) == 1


async def test_a_nonce_is_remembered_to_the_last_moment_of_its_life(nonces: MemoryNonces, clock: HeldClock) -> None:
    await nonces.claim(b"a", 0)
    clock.now += 120
    assert not await nonces.claim(b"a", 0)
    clock.now += 0.001
    assert await nonces.claim(b"a", 0)


async def test_what_was_signed_before_the_store_was_born_is_refused_for_good() -> None:
    nonces = MemoryNonces(ttl_seconds=120, capacity=3, born_at=1000)
    for signed_at in (0, 999):
        with pytest.raises(StaleTimestamp):
            await nonces.claim(b"a", signed_at)
    assert await nonces.claim(b"a", 1000)
    assert not await nonces.claim(b"a", 1000)


async def test_a_replay_does_not_prolong_a_life(nonces: MemoryNonces, clock: HeldClock) -> None:
    await nonces.claim(b"a", 0)
    clock.now += 100
    await nonces.claim(b"a", 0)
    clock.now += 21
    assert await nonces.claim(b"a", 0)


async def test_a_full_store_refuses_everyone_and_forgets_nothing(nonces: MemoryNonces) -> None:
    for nonce in (b"a", b"b", b"c"):
        await nonces.claim(nonce, 0)
    with pytest.raises(NonceStoreUnavailable):
        await nonces.claim(b"d", 0)
    assert not await nonces.claim(b"a", 0)
    assert len(nonces) == 3


async def test_a_full_store_has_room_again_when_a_nonce_dies(nonces: MemoryNonces, clock: HeldClock) -> None:
    await nonces.claim(b"a", 0)
    clock.now += 60
    await nonces.claim(b"b", 0)
    await nonces.claim(b"c", 0)
    clock.now += 61
    assert await nonces.claim(b"d", 0)
    assert len(nonces) == 3
    with pytest.raises(NonceStoreUnavailable):
        await nonces.claim(b"e", 0)


async def test_the_dead_do_not_pile_up(nonces: MemoryNonces, clock: HeldClock) -> None:
    for number in range(1000):
        clock.now += 121
        assert await nonces.claim(str(number).encode(), 0)
        assert len(nonces) == 1


@given(steps=st.lists(st.tuples(st.integers(0, 5), st.floats(0, 100)), max_size=60))
async def test_no_nonce_is_accepted_twice_within_its_life(steps: list[tuple[int, float]]) -> None:
    clock = HeldClock()
    nonces = MemoryNonces(ttl_seconds=120, capacity=1000, clock=clock)
    accepted_at: dict[int, float] = {}
    for number, seconds in steps:
        clock.now += seconds
        if await nonces.claim(str(number).encode(), 0):
            assert number not in accepted_at or clock.now - accepted_at[number] > 120
            accepted_at[number] = clock.now
