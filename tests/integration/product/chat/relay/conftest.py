"""Two product_apis on one database and one Valkey."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.database.world import Person
from support.gateway.fake import FakeGateway
from support.product.relay import (
    Two,
    clients_of,
    two_products,
)


@pytest.fixture(scope="module")
def valkey(valkey_server: EmbeddedValkey) -> EmbeddedValkey:
    """The server that the products share."""
    return valkey_server


@pytest_asyncio.fixture(scope="module")
async def urls(
    database_url: str, module_gateway: FakeGateway, valkey: EmbeddedValkey
) -> AsyncIterator[tuple[str, str]]:
    async with two_products(database_url, module_gateway.url, valkey) as urls:
        yield urls


@pytest_asyncio.fixture
async def two(urls: tuple[str, str], person: Person, gateway: FakeGateway) -> AsyncIterator[Two]:
    """One database, one Valkey, and two products that let an answer go on without a reader."""
    del gateway  # it is reset
    async with clients_of(urls, person) as two:
        yield two
