"""What the gateway remembers of messages: the same whether in memory or in Valkey, and what only Valkey can do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias
from uuid import UUID

import pytest
import structlog
from msgspec import structs

from b2b_chat.contract.content import FunctionCall, ToolCall
from b2b_chat.contract.schemas import ChatResult, Usage
from b2b_chat.gateway.idempotency import (
    MemoryRecords,
    MessageInFlight,
    OtherContent,
    Records,
    RecordsUnavailable,
    ValkeyRecords,
)
from b2b_chat.gateway.log_ids import logged
from b2b_chat.kit.background import running
from b2b_chat.kit.settings import Secret
from b2b_chat.kit.valkey import Valkey
from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.processes.waiting import until

KEY = UUID(int=1).bytes + UUID(int=2).bytes
OTHER_KEY = UUID(int=1).bytes + UUID(int=3).bytes
RESULT = ChatResult("é" * 500, Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3))
A, B = b"a" * 32, b"b" * 32
FOREVER_SECONDS = 3600

Make: TypeAlias = Callable[..., Records]


@pytest.fixture(params=["memory", "valkey"])
def make(request: pytest.FixtureRequest, valkey: Valkey) -> Make:
    """Makes empty records."""

    def make_records(*, ttl_seconds: float = 60, capacity_bytes: int = 1_000_000) -> Records:
        if request.param == "memory":
            return MemoryRecords(ttl_seconds=ttl_seconds, capacity_bytes=capacity_bytes)
        return ValkeyRecords(
            valkey, ttl_seconds=ttl_seconds, capacity_bytes=capacity_bytes, lease_seconds=FOREVER_SECONDS
        )

    return make_records


async def test_an_answer_is_given_again(make: Make) -> None:
    kept = make()
    assert await kept.begin(KEY, A) is None
    await kept.finish(KEY, RESULT)
    assert await kept.begin(KEY, A) == RESULT
    assert await kept.begin(OTHER_KEY, A) is None


async def test_calls_of_tools_are_given_again_and_take_room(make: Make) -> None:
    call = ToolCall("call_a", FunctionCall("find", "é" * 3000))
    result = structs.replace(RESULT, text="", finish_reason="tool_calls", tool_calls=[call], refusal=True)
    kept = make(capacity_bytes=10_000)
    await kept.begin(KEY, A)
    await kept.finish(KEY, result)
    assert await kept.begin(KEY, A) == result
    await kept.begin(OTHER_KEY, A)
    await kept.finish(OTHER_KEY, result)  # two are too many
    assert await kept.begin(KEY, A) is None
    assert await kept.begin(OTHER_KEY, A) == result


async def test_a_message_is_answered_by_one_at_a_time(make: Make) -> None:
    kept = make()
    begun = await asyncio.gather(*[kept.begin(KEY, A) for _ in range(50)], return_exceptions=True)
    assert begun.count(None) == 1
    assert sum(isinstance(each, MessageInFlight) for each in begun) == 49
    await kept.forget(KEY)
    assert await kept.begin(KEY, A) is None


async def test_an_id_stands_for_one_content_while_it_runs_and_after(make: Make) -> None:
    kept = make()
    await kept.begin(KEY, A)
    with pytest.raises(OtherContent):
        await kept.begin(KEY, B)
    await kept.finish(KEY, RESULT)
    with pytest.raises(OtherContent):
        await kept.begin(KEY, B)


async def test_a_failure_is_not_remembered(make: Make) -> None:
    kept = make()
    await kept.begin(KEY, A)
    await kept.forget(KEY)
    assert await kept.begin(KEY, B) is None


async def test_forgetting_after_the_end_forgets_nothing(make: Make) -> None:
    kept = make()
    await kept.begin(KEY, A)
    await kept.finish(KEY, RESULT)
    await kept.forget(KEY)
    assert await kept.begin(KEY, A) == RESULT


async def test_the_oldest_answer_makes_room(make: Make) -> None:
    kept = make(capacity_bytes=3 * 2024)
    keys = [UUID(int=1).bytes + UUID(int=number).bytes for number in range(10, 14)]
    for key in keys:
        await kept.begin(key, A)
        await kept.finish(key, RESULT)
        await asyncio.sleep(0.002)  # a moment of its own for each: Valkey's clock counts milliseconds
    assert [await kept.begin(key, A) for key in keys] == [None, RESULT, RESULT, RESULT]


async def test_nothing_is_kept_without_room(make: Make) -> None:
    kept = make(capacity_bytes=0)
    await kept.begin(KEY, A)
    await kept.finish(KEY, RESULT)
    assert await kept.begin(KEY, A) is None


async def test_nothing_is_kept_without_time(make: Make) -> None:
    kept = make(ttl_seconds=0)
    await kept.begin(KEY, A)
    await kept.finish(KEY, RESULT)
    assert await kept.begin(KEY, A) is None


async def test_an_answer_goes_after_its_time(make: Make) -> None:
    kept = make(ttl_seconds=0.05)
    await kept.begin(KEY, A)
    await kept.finish(KEY, RESULT)
    await asyncio.sleep(0.1)
    assert await kept.begin(KEY, B) is None


class TestLeases:
    @pytest.fixture
    async def worker(self, valkey: Valkey) -> AsyncIterator[ValkeyRecords]:
        """One that renews its leases."""
        records = ValkeyRecords(valkey, ttl_seconds=60, capacity_bytes=1_000_000, lease_seconds=0.6)
        async with running(records.keep_leases()):
            yield records

    @pytest.fixture
    def other(self, valkey: Valkey) -> ValkeyRecords:
        return ValkeyRecords(valkey, ttl_seconds=60, capacity_bytes=1_000_000, lease_seconds=FOREVER_SECONDS)

    async def test_a_worker_that_lives_keeps_its_message(self, worker: ValkeyRecords, other: ValkeyRecords) -> None:
        await worker.begin(KEY, A)
        for _ in range(6):
            await asyncio.sleep(0.2)
            with pytest.raises(MessageInFlight):
                await other.begin(KEY, A)
        await worker.finish(KEY, RESULT)
        assert await other.begin(KEY, A) == RESULT

    async def test_a_killed_worker_does_not_keep_its_message(self, valkey: Valkey, other: ValkeyRecords) -> None:
        killed = ValkeyRecords(valkey, ttl_seconds=60, capacity_bytes=1_000_000, lease_seconds=0.2)
        await killed.begin(KEY, A)
        with pytest.raises(MessageInFlight):
            await other.begin(KEY, A)
        await asyncio.sleep(0.3)
        assert await other.begin(KEY, A) is None

    async def test_a_caller_without_its_lease_does_not_touch_a_newer_record(
        self, valkey: Valkey, other: ValkeyRecords
    ) -> None:
        stalled = ValkeyRecords(valkey, ttl_seconds=60, capacity_bytes=1_000_000, lease_seconds=0.1)
        for is_answered in (True, False):
            await stalled.begin(KEY, A)
            await asyncio.sleep(0.2)
            assert await other.begin(KEY, A) is None
            await (stalled.finish(KEY, RESULT) if is_answered else stalled.forget(KEY))
            with pytest.raises(MessageInFlight):
                await stalled.begin(KEY, A)
            await other.forget(KEY)

    async def test_a_flush_gives_a_message_away_for_a_moment_only(
        self, valkey: Valkey, worker: ValkeyRecords, other: ValkeyRecords
    ) -> None:
        await worker.begin(KEY, A)
        await valkey.ask("FLUSHALL")

        async def is_back() -> bool:
            return bool(await valkey.ask("DBSIZE"))

        await until(is_back)
        with pytest.raises(MessageInFlight):
            await other.begin(KEY, A)

    async def test_a_caller_that_is_cancelled_forgets_all_the_same(self, other: ValkeyRecords) -> None:
        await other.begin(KEY, A)
        leaving = asyncio.create_task(other.forget(KEY))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving

        async def is_forgotten() -> bool:
            try:
                return await other.begin(KEY, A) is None
            except MessageInFlight:
                return False

        await until(is_forgotten)


async def test_valkey_keeps_count_of_its_bytes(valkey: Valkey) -> None:
    """Whatever comes and goes, the count is that of the answers there, and there are no more than fit."""
    kept = ValkeyRecords(valkey, ttl_seconds=0.03, capacity_bytes=5 * 2024, lease_seconds=FOREVER_SECONDS)
    for number in range(200):
        key = UUID(int=1).bytes + UUID(int=number % 7).bytes
        try:
            if await kept.begin(key, A) is None:
                await kept.finish(key, RESULT)
        except MessageInFlight:  # pragma: no cover - one worker, one at a time
            pytest.fail("nobody else is there")
        rows = await valkey.ask("ZRANGE", "gateway:answers", 0, -1)
        assert int(await valkey.ask("GET", "gateway:answers:bytes")) == 2024 * len(rows) <= 5 * 2024


async def test_leases_are_kept_whether_or_not_anything_is_answered_now(valkey: Valkey) -> None:
    records = ValkeyRecords(valkey, ttl_seconds=60, capacity_bytes=1_000_000, lease_seconds=0.3)
    async with running(records.keep_leases()):
        await asyncio.sleep(0.3)  # some rounds with nothing to renew
        await records.begin(KEY, A)
        await asyncio.sleep(0.6)
        with pytest.raises(MessageInFlight):
            await records.begin(KEY, A)


async def test_without_valkey_nothing_begins_and_what_was_begun_ends_all_the_same(own_valkey: EmbeddedValkey) -> None:
    valkey = Valkey(Secret(own_valkey.url), timeout_seconds=5, max_connections=2)
    records = ValkeyRecords(valkey, ttl_seconds=60, capacity_bytes=1_000_000, lease_seconds=FOREVER_SECONDS)
    for key in (KEY, OTHER_KEY):
        await records.begin(key, A)
    own_valkey.stop()
    with pytest.raises(RecordsUnavailable):
        await records.begin(KEY, A)
    with structlog.testing.capture_logs() as lines:
        await records.finish(KEY, RESULT)
        await records.forget(OTHER_KEY)
    not_kept = [line["message_id"] for line in lines if line["event"] == "answer_not_kept"]
    assert not_kept == [logged(UUID(bytes=KEY[16:]))]
    own_valkey.start()
    for key in (KEY, OTHER_KEY):
        assert await records.begin(key, B) is None, "it was neither kept nor held"
    await valkey.close()
