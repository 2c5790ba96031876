from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from support.database.world import Person, World
from support.gateway.fake import FakeGateway
from support.product.app import served_product
from support.product.sessions import add_session, http_client


@pytest_asyncio.fixture(scope="module")
async def product_url(database_url: str, module_gateway: FakeGateway) -> AsyncIterator[str]:
    """A product_api that lets a crowd wait for its turn at the database, however slow the machine is."""
    async with served_product(database_url, module_gateway.url, database_acquire_timeout_seconds=120.0) as url:
        yield url


@pytest_asyncio.fixture
async def owner(world: World) -> Person:
    return await world.person(role="owner")


@pytest_asyncio.fixture
async def http(world: World, product_url: str, owner: Person) -> AsyncIterator[httpx.AsyncClient]:
    session = await add_session(world, owner.user_id, owner.company_id)
    async with http_client(product_url, session=session) as http:
        yield http
