"""The whole stack as processes, with a proxy between any two; the clients' tests share it."""

import random
from collections.abc import AsyncIterator

import pytest_asyncio

from support.database.world import Person, World, open_world
from support.faults.stack import FaultStack, fault_stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack() -> AsyncIterator[FaultStack]:
    # Readers come back; how soon is no matter of these tests.
    async with fault_stack(random.Random(), CHAT_RESUME_WINDOW_SECONDS="3600") as stack:
        yield stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(stack: FaultStack) -> AsyncIterator[World]:
    async with open_world(stack.postgres.url) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def person(stack: FaultStack, world: World) -> Person:
    await stack.heal()
    return await world.person(balance="1000000")
