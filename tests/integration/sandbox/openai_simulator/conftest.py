from collections.abc import AsyncIterator

import pytest

from support.openai.simulated import Wire, simulated_openai


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with simulated_openai() as wire:
        yield wire
