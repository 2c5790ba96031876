from collections.abc import AsyncIterator

import pytest

from support.fake_gateway import FakeGateway, fake_gateway
from support.product import Client, client_of, served_product
from support.world import Person, World, open_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_world(database_url) as world:
        yield world


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with fake_gateway() as gateway:
        yield gateway


@pytest.fixture
async def person(world: World) -> Person:
    return await world.person()


@pytest.fixture
async def product_url(database_url: str, gateway: FakeGateway) -> AsyncIterator[str]:
    async with served_product(database_url, gateway.url) as url:
        yield url


@pytest.fixture
async def client(product_url: str, person: Person) -> AsyncIterator[Client]:
    async with client_of(product_url, person) as client:
        yield client
