"""A person does a costly thing once at a time."""

import asyncio
import gc
from collections.abc import AsyncGenerator
from uuid import uuid4

import pytest

from b2b_chat.product.limits.service import RateLimited
from b2b_chat.product.limits.turns import Turns


async def pieces() -> AsyncGenerator[bytes, None]:
    for piece in (b"a", b"b"):
        yield piece


async def test_turns_of_one_person_come_one_after_the_other_and_few_may_wait() -> None:
    turns, person, other = Turns(), uuid4(), uuid4()
    at_it, go_on = 0, asyncio.Event()

    async def take() -> None:
        nonlocal at_it
        async with turns.turn(person):
            at_it += 1
            assert at_it == 1
            await go_on.wait()
            at_it -= 1

    waiting = [asyncio.create_task(take()) for _ in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited):
        await take()
    async with turns.turn(other):
        pass
    waiting[1].cancel()
    go_on.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), asyncio.CancelledError, type(None), type(None)]
    async with turns.only_turn(person):
        pass


async def test_an_export_is_the_only_one_until_it_has_ended() -> None:
    turns, person = Turns(), uuid4()
    held = await turns.holding(person, pieces())
    with pytest.raises(RateLimited):
        await turns.holding(person, pieces())
    assert [piece async for piece in held] == [b"a", b"b"]
    await (await turns.holding(person, pieces())).aclose()
    await (await turns.holding(person, pieces())).aclose()


async def test_an_export_that_nobody_reads_ends_when_it_is_dropped() -> None:
    turns, person = Turns(), uuid4()
    held = await turns.holding(person, pieces())
    del held
    gc.collect()
    await asyncio.sleep(0.01)
    await (await turns.holding(person, pieces())).aclose()
