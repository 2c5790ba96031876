"""The whole stack as processes, with a proxy between any two; the clients' tests share it."""

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from support.client.typescript import built_client
from support.database.world import Person, World, open_world
from support.faults.stack import FaultStack, fault_stack

CUT_WITHIN_BYTES = 6_000
"""An answer of 60 tokens is about 7 kB of events, so that most are cut more than once."""


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


@pytest.fixture(scope="session")
def client_ts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built TypeScript client."""
    return built_client(tmp_path_factory)


@pytest.fixture
def seed() -> int:
    """Of the cuts and questions; CLIENT_SEED sets it."""
    seed = int(os.environ.get("CLIENT_SEED", str(random.SystemRandom().randrange(10_000))))
    print(f"CLIENT_SEED={seed}")  # noqa: T201 - shown when the test fails
    return seed


@pytest_asyncio.fixture(loop_scope="session")
async def cutting(stack: FaultStack, person: Person, seed: int) -> AsyncIterator[FaultStack]:
    """The stack, behind a proxy that ends every connection after a random number of bytes."""
    del person  # it heals the stack first
    stack.client_line.seed(seed)
    stack.client_line.replies.toxics.random_limit_bytes = CUT_WITHIN_BYTES
    yield stack
    stack.client_line.heal()
