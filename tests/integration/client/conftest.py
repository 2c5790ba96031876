"""One product_api with a fake gateway and a database of its own for each test file, and a client of either kind."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from support.client.faces import FACES, Face, face_of
from support.database.roles import AppUser, created_database
from support.database.world import Person, World, open_world
from support.gateway.fake import FakeGateway, fake_gateway
from support.product.app import served_product


@pytest.fixture(scope="module")
def owner_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """As the fixture for all tests, but a module's."""
    with created_database(postgres_url, prefix="b2b_chat_test", template=template_database) as url:
        yield url


@pytest_asyncio.fixture(scope="module")
async def world(owner_url: str) -> AsyncIterator[World]:
    async with open_world(owner_url) as world:
        yield world


@pytest_asyncio.fixture(scope="module")
async def module_gateway() -> AsyncIterator[FakeGateway]:
    async with fake_gateway() as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="module")
async def product_url(owner_url: str, app_user: AppUser, module_gateway: FakeGateway) -> AsyncIterator[str]:
    # One attempt of an answer at the server, so that its failures reach the client.
    async with served_product(app_user.url(owner_url), module_gateway.url, chat_max_restarts=0) as url:
        yield url


@pytest.fixture
def gateway(module_gateway: FakeGateway) -> FakeGateway:
    module_gateway.forget()
    return module_gateway


@pytest_asyncio.fixture
async def person(world: World) -> Person:
    return await world.person()


@pytest.fixture(params=FACES)
def kind(request: pytest.FixtureRequest) -> str:
    """Of the client."""
    value: str = request.param
    return value


@pytest_asyncio.fixture
async def face(kind: str, product_url: str, person: Person, gateway: FakeGateway) -> AsyncIterator[Face]:
    del gateway  # it is reset for every client
    async with face_of(kind, person.api_key, product_url) as face:
        yield face
