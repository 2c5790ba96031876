from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from support.sessions import add_operator, http_client
from support.world import World


@pytest_asyncio.fixture(loop_scope="module")
async def http(world: World, product_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """An operator's client."""
    _, key = await add_operator(world)
    async with http_client(product_url, key=key) as http:
        yield http
