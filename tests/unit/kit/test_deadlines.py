import asyncio

import pytest
import uvloop

from b2b_chat.kit.deadlines import Deadline, DeadlinePassed

LONG_SECONDS = 60
SHORT_SECONDS = 0.02


def at(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def asks_to_be_cancelled() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def forever() -> None:
    await asyncio.Event().wait()


class Timers(asyncio.SelectorEventLoop):
    """A loop that counts its pending timers."""

    def waiting(self) -> int:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return sum(not timer.cancelled() for timer in timers)


async def test_what_ends_in_time_is_left_alone() -> None:
    with Deadline(at(SHORT_SECONDS), "total"):
        await asyncio.sleep(0)
    await asyncio.sleep(2 * SHORT_SECONDS)


async def test_a_block_over_its_deadline_is_ended_and_names_the_deadline() -> None:
    with pytest.raises(DeadlinePassed, match="total") as caught, Deadline(at(SHORT_SECONDS), "total"):
        await forever()
    assert caught.value.code == "total"
    assert isinstance(caught.value, TimeoutError)
    assert not asks_to_be_cancelled()
    await asyncio.sleep(0)


async def test_a_deadline_that_has_passed_ends_the_first_wait() -> None:
    with pytest.raises(DeadlinePassed, match="total"), Deadline(at(-1), "total"):
        await forever()


async def test_it_moves_sooner() -> None:
    async def block() -> None:
        with Deadline(at(LONG_SECONDS), "total") as deadline:
            deadline.move(SHORT_SECONDS, "silence")
            await forever()

    with pytest.raises(DeadlinePassed, match="silence"):
        await block()


async def test_it_moves_later() -> None:
    with Deadline(at(LONG_SECONDS), "total") as deadline:
        deadline.move(SHORT_SECONDS, "first")
        deadline.move(LONG_SECONDS, "silence")
        await asyncio.sleep(4 * SHORT_SECONDS)


async def test_it_moves_with_every_sign_of_life() -> None:
    loop = asyncio.get_running_loop()
    last = 0.0

    async def block() -> None:
        nonlocal last
        with Deadline(at(LONG_SECONDS), "total") as deadline:
            for _ in range(5):
                deadline.move(2 * SHORT_SECONDS, "silence")
                last = loop.time()
                await asyncio.sleep(SHORT_SECONDS / 2)
            await forever()

    with pytest.raises(DeadlinePassed, match="silence"):
        await block()
    assert loop.time() >= last + 2 * SHORT_SECONDS  # not before its time


async def test_it_never_moves_beyond_the_total() -> None:
    async def block() -> None:
        with Deadline(at(SHORT_SECONDS), "total") as deadline:
            deadline.move(LONG_SECONDS, "silence")
            await forever()

    with pytest.raises(DeadlinePassed, match="total"):
        await block()


async def test_what_does_not_wait_for_life_is_left_alone() -> None:
    async def block() -> None:
        with Deadline(at(LONG_SECONDS), "total") as deadline:
            deadline.move(SHORT_SECONDS, "silence")
            deadline.is_suspended = True
            await asyncio.sleep(4 * SHORT_SECONDS)
            deadline.is_suspended = False
            await forever()

    with pytest.raises(DeadlinePassed, match="silence"):
        await block()


async def test_the_last_moment_counts_after_a_suspension_too() -> None:
    async def block() -> None:
        with Deadline(at(4 * SHORT_SECONDS), "total") as deadline:
            deadline.move(SHORT_SECONDS, "silence")
            deadline.is_suspended = True
            await forever()

    with pytest.raises(DeadlinePassed, match="total"):
        await block()


async def test_a_wait_during_a_suspension_can_be_restarted() -> None:
    with Deadline(at(LONG_SECONDS), "total") as deadline:
        deadline.move(SHORT_SECONDS, "silence")
        deadline.is_suspended = True
        await asyncio.sleep(4 * SHORT_SECONDS)
        deadline.is_suspended = False
        deadline.move(LONG_SECONDS, "silence")
        await asyncio.sleep(4 * SHORT_SECONDS)


async def test_an_outside_cancellation_stays_a_cancellation() -> None:
    async def work() -> None:
        with Deadline(at(LONG_SECONDS), "total"):
            await forever()

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert working.cancelled()


async def test_an_outside_cancellation_at_the_deadline_stays_a_cancellation() -> None:
    async def work() -> None:
        with Deadline(at(SHORT_SECONDS), "total"):
            try:
                await forever()
            finally:
                working.cancel()

    working = asyncio.create_task(work())
    with pytest.raises(asyncio.CancelledError):
        await working
    assert working.cancelled()


async def test_an_error_of_the_block_is_its_own() -> None:
    with pytest.raises(ValueError, match="mine"), Deadline(at(LONG_SECONDS), "total"):
        raise ValueError("mine")


async def test_a_block_that_ends_by_an_error_of_its_own_at_the_deadline_is_not_left_cancelled() -> None:
    async def block() -> None:
        with Deadline(at(SHORT_SECONDS), "total"):
            try:
                await forever()
            except asyncio.CancelledError:
                raise ValueError("while cleaning up") from None

    with pytest.raises(ValueError, match="while cleaning up"):
        await block()
    assert not asks_to_be_cancelled()
    with pytest.raises(DeadlinePassed, match="another"), Deadline(at(SHORT_SECONDS), "another"):
        await forever()


async def test_a_task_that_survived_a_cancellation_can_miss_its_deadline() -> None:
    async def work() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            with Deadline(at(SHORT_SECONDS), "total"):
                await forever()

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    working.cancel()
    with pytest.raises(DeadlinePassed, match="total"):
        await working


async def test_the_inner_of_two_ends_alone() -> None:
    with Deadline(at(LONG_SECONDS), "outer"):
        with pytest.raises(DeadlinePassed, match="inner"), Deadline(at(SHORT_SECONDS), "inner"):
            await forever()
        await asyncio.sleep(0)
    assert not asks_to_be_cancelled()


async def test_the_outer_of_two_ends_both() -> None:
    async def block() -> None:
        with Deadline(at(SHORT_SECONDS), "outer"), Deadline(at(LONG_SECONDS), "inner"):
            await forever()

    with pytest.raises(DeadlinePassed, match="outer"):
        await block()
    assert not asks_to_be_cancelled()


async def test_two_that_end_at_once_are_the_outer() -> None:
    deadline = at(SHORT_SECONDS)

    async def block() -> None:
        with Deadline(deadline, "outer"), Deadline(deadline, "inner"):
            await forever()

    with pytest.raises(DeadlinePassed, match="outer"):
        await block()
    assert not asks_to_be_cancelled()


async def test_it_can_stand_around_a_timeout_and_within_one() -> None:
    with Deadline(at(LONG_SECONDS), "total"), pytest.raises(TimeoutError):
        async with asyncio.timeout(SHORT_SECONDS):
            await forever()
    async with asyncio.timeout(LONG_SECONDS):
        with pytest.raises(DeadlinePassed), Deadline(at(SHORT_SECONDS), "total"):
            await forever()
    assert not asks_to_be_cancelled()


def test_no_timer_is_left_behind() -> None:
    async def work(loop: Timers) -> None:
        with Deadline(at(LONG_SECONDS), "total") as deadline:
            assert loop.waiting() == 1
            deadline.move(LONG_SECONDS / 2, "sooner")
            deadline.move(LONG_SECONDS / 3, "sooner still")
            for _ in range(100):
                deadline.move(LONG_SECONDS / 2, "later")
            assert loop.waiting() == 1
        assert loop.waiting() == 0
        with Deadline(at(LONG_SECONDS), "total") as deadline:
            deadline.move(SHORT_SECONDS, "soon")
            deadline.move(LONG_SECONDS, "later")
            await asyncio.sleep(2 * SHORT_SECONDS)
            assert loop.waiting() == 1
        assert loop.waiting() == 0
        with pytest.raises(DeadlinePassed), Deadline(at(SHORT_SECONDS), "total"):
            await forever()
        assert loop.waiting() == 0

    loop = Timers()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(work(loop))


def test_it_holds_on_uvloop_too() -> None:
    async def work() -> None:
        async def block() -> None:
            with Deadline(at(LONG_SECONDS), "total") as deadline:
                deadline.move(SHORT_SECONDS, "silence")
                await forever()

        with pytest.raises(DeadlinePassed, match="silence"):
            await block()
        assert not asks_to_be_cancelled()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())
