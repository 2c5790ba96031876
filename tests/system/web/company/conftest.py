"""A company's pages are looked at by its owner."""

import pytest_asyncio

from support.database.world import Person, World
from support.faults.stack import FaultStack


@pytest_asyncio.fixture(loop_scope="session")
async def person(stack: FaultStack, world: World) -> Person:
    """An owner, whose the page is."""
    await stack.heal()
    return await world.person(role="owner")
