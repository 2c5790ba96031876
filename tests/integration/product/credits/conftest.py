"""An owner, and a client that is theirs."""

from collections.abc import AsyncIterator

import pytest_asyncio

from support.database.world import Person, World
from support.gateway.fake import FakeGateway
from support.product.app import Client, client_of


@pytest_asyncio.fixture
async def owner(world: World) -> Person:
    return await world.person(role="owner")


@pytest_asyncio.fixture
async def admin(product_url: str, owner: Person, gateway: FakeGateway) -> AsyncIterator[Client]:
    del gateway  # it is reset for every client
    async with client_of(product_url, owner) as client:
        yield client
