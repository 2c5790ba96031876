"""gateway_api with a Valkey: what it remembers there, and what it says where that cannot be asked."""

from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

import pytest_asyncio

from b2b_chat.kit.settings import Secret
from b2b_chat.kit.valkey import Valkey
from b2b_chat.sandbox.openai_simulator import SimulatorSettings
from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.gateway.app import Gateway, failure_of, gateway, gateway_settings
from support.gateway.chat_bodies import METADATA
from support.openai.simulated import Wire, simulated_openai
from support.processes.waiting import until

MESSAGE: Final = UUID(int=7)
SAME: Final[dict[str, Any]] = {"metadata": {**METADATA, "message_id": str(MESSAGE)}}


@pytest_asyncio.fixture
async def openai() -> AsyncIterator[Wire]:
    async with simulated_openai(SimulatorSettings(answer_tokens=5)) as wire:
        yield wire


@pytest_asyncio.fixture
async def border(own_valkey: EmbeddedValkey, openai: Wire) -> AsyncIterator[Gateway]:
    """A gateway that lets calls in."""
    settings = gateway_settings(
        valkey_url=Secret(own_valkey.url),
        gateway_clock_skew_seconds=1,
        openai_base_url=f"{openai.url}/v1",
        readiness_cache_seconds=0.0,
    )
    async with gateway(settings) as served:

        async def lets_in() -> bool:
            return (await served.http.get("/internal/ping")).is_success

        await until(lets_in)
        yield served


async def test_an_answer_is_remembered_there(border: Gateway, openai: Wire, own_valkey: EmbeddedValkey) -> None:
    first, again = [(await border.post(**SAME)).json() for _ in range(2)]
    assert first == again
    assert len(await openai.seen()) == 1
    client = Valkey(Secret(own_valkey.url), timeout_seconds=5, max_connections=1)
    assert await client.ask("DBSIZE") > 0
    await client.close()


async def test_what_valkey_refuses_is_an_outage_that_may_be_tried_again(
    border: Gateway, openai: Wire, own_valkey: EmbeddedValkey
) -> None:
    client = Valkey(Secret(own_valkey.url), timeout_seconds=5, max_connections=1)
    name = b"gateway:message:" + UUID(METADATA["company_id"]).bytes + MESSAGE.bytes
    await client.ask("LPUSH", name, "something else")
    refused = await border.post(**SAME)
    told = failure_of(refused)
    assert (refused.status_code, told["code"], told["retryable"]) == (503, "idempotency_store_unavailable", True)
    assert await openai.seen() == []
    await client.ask("DEL", name)
    await client.close()
    assert (await border.post(**SAME)).status_code == 200


async def test_readiness_goes_and_comes_back_with_it(border: Gateway, own_valkey: EmbeddedValkey) -> None:
    assert (await border.http.get("/ready")).json() == {"status": "ready"}
    own_valkey.stop()
    away = await border.http.get("/ready")
    assert (away.status_code, failure_of(away)["message"]) == (503, "Not ready: valkey.")
    assert failure_of(await border.post())["code"] == "nonce_store_unavailable"
    own_valkey.start()
    assert (await border.http.get("/ready")).json() == {"status": "ready"}
