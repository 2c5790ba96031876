"""Fixtures of the gateway's integration tests: a simulated OpenAI, and gateways that call it."""

from collections.abc import AsyncIterator

import pytest_asyncio

from support.gateway.app import Gateway, gateway, gateway_settings
from support.openai.simulated import Wire, simulated_openai


@pytest_asyncio.fixture(scope="module")
async def openai() -> AsyncIterator[Wire]:
    """A simulated OpenAI."""
    async with simulated_openai() as wire:
        yield wire


@pytest_asyncio.fixture(scope="module")
async def patient(openai: Wire) -> AsyncIterator[Gateway]:
    """A gateway that calls it, once a chat."""
    async with gateway(gateway_settings(openai_base_url=f"{openai.url}/v1")) as client:
        yield client


@pytest_asyncio.fixture(scope="module")
async def hasty(openai: Wire) -> AsyncIterator[Gateway]:
    """One whose deadlines are short."""
    settings = gateway_settings(
        openai_base_url=f"{openai.url}/v1",
        upstream_first_token_timeout_seconds=0.3,
        upstream_silence_timeout_seconds=0.3,
        upstream_total_timeout_seconds=0.6,
    )
    async with gateway(settings) as client:
        yield client
