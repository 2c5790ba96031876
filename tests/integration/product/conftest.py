"""One product_api with a fake gateway and a database of its own for each test file; people are new in every test."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from support.database.roles import AppUser, created_database
from support.database.world import Person, World, open_world
from support.gateway.fake import FakeGateway, fake_gateway
from support.product.app import Client, client_of, served_product


@pytest.fixture(scope="module")
def owner_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """As the fixture for all tests, but a module's."""
    with created_database(postgres_url, prefix="b2b_chat_test", template=template_database) as url:
        yield url


@pytest.fixture(scope="module")
def database_url(owner_url: str, app_user: AppUser) -> str:
    """As the fixture for all tests, but a module's."""
    return app_user.url(owner_url)


@pytest_asyncio.fixture(scope="module")
async def world(owner_url: str) -> AsyncIterator[World]:
    async with open_world(owner_url) as world:
        yield world


@pytest_asyncio.fixture(scope="module")
async def module_gateway() -> AsyncIterator[FakeGateway]:
    async with fake_gateway() as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="module")
async def product_url(database_url: str, module_gateway: FakeGateway) -> AsyncIterator[str]:
    async with served_product(database_url, module_gateway.url) as url:
        yield url


@pytest.fixture
def gateway(module_gateway: FakeGateway) -> FakeGateway:
    module_gateway.forget()
    return module_gateway


@pytest_asyncio.fixture
async def person(world: World) -> Person:
    return await world.person()


@pytest_asyncio.fixture
async def client(product_url: str, person: Person, gateway: FakeGateway) -> AsyncIterator[Client]:
    del gateway  # it is reset for every client
    async with client_of(product_url, person) as client:
        yield client
