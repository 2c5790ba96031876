from collections.abc import AsyncIterator

import pytest_asyncio

from support.gateway.fake import FakeGateway
from support.product.app import served_product


@pytest_asyncio.fixture(scope="module")
async def product_url(database_url: str, module_gateway: FakeGateway) -> AsyncIterator[str]:
    """A product_api that lets a crowd wait for its turn at the database, however slow the machine is."""
    async with served_product(database_url, module_gateway.url, database_acquire_timeout_seconds=120.0) as url:
        yield url
