import asyncio

import pytest

from b2b_chat.kit.background import repeat, running


async def until_done(tasks: int, done: list[int]) -> None:
    async with asyncio.timeout(5):
        while len(done) < tasks:  # noqa: ASYNC110 - a list has no event
            await asyncio.sleep(0)


async def test_a_failure_does_not_end_the_repetition() -> None:
    done: list[int] = []

    async def work() -> None:
        done.append(1)
        raise OSError if len(done) % 2 else ZeroDivisionError

    async with running(repeat(work, every_seconds=0)):
        await until_done(5, done)


async def test_what_runs_beside_ends_with_the_block() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.append(1)

    async def block() -> None:
        async with running(work(), work()):
            await asyncio.sleep(0)
            raise KeyError

    with pytest.raises(KeyError):
        await block()
    assert ended == [1, 1]


async def test_one_that_failed_is_no_failure_of_the_block() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    async with running(work()):
        await asyncio.sleep(0)
