"""The stack that all fault cases share, healed and checked after each.

FAULT_SEEDS, a number of seeds for each case, and FAULT_LONG=1, for longer cases, are read from the environment;
FAULT_SEED is the first seed.
"""

import os
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.database.world import World, open_world
from support.faults.stack import FaultStack, fault_stack
from support.faults.witness import Documented, Witness, documented_errors

IS_LONG = os.environ.get("FAULT_LONG") == "1"
_FIRST_SEED = int(os.environ.get("FAULT_SEED", "1"))
_SEEDS = range(_FIRST_SEED, _FIRST_SEED + int(os.environ.get("FAULT_SEEDS", "1")))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each case that wants a seed with every seed."""
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", _SEEDS, ids=[f"seed={seed}" for seed in _SEEDS])


@pytest.fixture(scope="session")
def is_long() -> bool:
    """Whether the long form runs."""
    return IS_LONG


@pytest.fixture
def rng(seed: int) -> random.Random:
    """The case's own randomness."""
    print(f"seed {seed}")  # noqa: T201 - shown when the case fails
    return random.Random(seed)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack() -> AsyncIterator[FaultStack]:
    """Every process and proxy."""
    async with fault_stack(random.Random()) as stack:
        yield stack


@pytest.fixture(scope="session")
def documented(stack: FaultStack) -> Documented:
    """The errors that a client may see."""
    return documented_errors(stack)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(stack: FaultStack) -> AsyncIterator[World]:
    """The database, past the proxy."""
    async with open_world(stack.postgres.url) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def witness(
    stack: FaultStack, world: World, documented: Documented, rng: random.Random
) -> AsyncIterator[Witness]:
    """The clients of one case. Afterwards everything is healed and every invariant checked."""
    await stack.heal()
    await stack.forget_calls()
    async with Witness(stack, world, documented, rng).connected() as witness:
        yield witness
        stack.end_others()
        await stack.heal()
        await witness.check()
