"""One company whose calls hang does not close the gateway for the others."""

import asyncio
import secrets
from typing import Any
from uuid import uuid4

from support.gateway.app import failure_of, gateway, gateway_settings
from support.gateway.chat_bodies import METADATA
from support.openai.simulated import Wire
from support.processes.waiting import until


def of(company_id: str) -> dict[str, Any]:
    return {"metadata": {**METADATA, "company_id": company_id, "message_id": str(uuid4())}}


async def test_hanging_calls_are_counted_against_their_company(openai: Wire) -> None:
    key, hanging, other = secrets.token_hex(4), str(uuid4()), str(uuid4())
    settings = gateway_settings(openai_base_url=f"{openai.url}/v1", upstream_max_connections=10)
    async with gateway(settings) as client:
        prompt = f"[[simulate: no_answer;key={key}]]"
        calls = [asyncio.create_task(client.post(prompt, stream=True, **of(hanging))) for _ in range(12)]

        async def are_settled() -> bool:
            running = [call for call in await openai.seen() if call["key"] == key and call["outcome"] == "running"]
            return len(running) == 8 and sum(call.done() for call in calls) == 4

        await until(are_settled)
        assert {failure_of(call.result())["code"] for call in calls if call.done()} == {"company_busy"}
        assert failure_of(await client.post(**of(hanging)))["retryable"] is True
        assert [(await client.post(**of(other))).status_code for _ in range(5)] == [200] * 5
        for call in calls:
            call.cancel()

        async def has_room() -> bool:
            return (await client.post(**of(hanging))).status_code == 200

        await until(has_room)


async def test_a_company_that_is_alone_may_have_all_where_the_operator_wants_it(openai: Wire) -> None:
    key, company = secrets.token_hex(4), str(uuid4())
    settings = gateway_settings(
        openai_base_url=f"{openai.url}/v1", upstream_max_connections=2, upstream_company_share_percent=100
    )
    async with gateway(settings) as client:
        prompt = f"[[simulate: no_answer;key={key}]]"
        calls = [asyncio.create_task(client.post(prompt, stream=True, **of(company))) for _ in range(2)]

        async def are_running() -> bool:
            return len([call for call in await openai.seen() if call["key"] == key]) == 2

        await until(are_running)
        assert failure_of(await client.post(**of(company)))["code"] == "gateway_busy"
        for call in calls:
            call.cancel()
