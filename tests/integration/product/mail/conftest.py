from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.database.world import World, open_world
from support.product.login_services import MovableClock
from support.product.mailbox import Mailbox


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest_asyncio.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """A world without mails: a sender takes whatever is there."""
    async with open_world(database_url) as world:
        await world.rows("DELETE FROM mails")
        yield world


@pytest.fixture
def box() -> Mailbox:
    return Mailbox()
