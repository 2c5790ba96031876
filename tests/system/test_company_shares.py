"""A company whose answers hang, up to every limit, closes neither app for another; both apps as processes."""

import asyncio
import json
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from b2b_chat.sandbox.world import seed
from support.processes.commands import addresses_of, clean_environ, run, started
from support.processes.waiting import until

UPSTREAM_CONNECTIONS = 10
"""A company may have eight of them, by the gateway's count."""
GATEWAY_CONNECTIONS = 12
"""A company may have nine of them, by the product's count: both apps must refuse."""
HANGING = 40
SENDS = 20


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home: Path = tmp_path_factory.mktemp("shares")
    return clean_environ(
        home,
        GATEWAY_SHARED_SECRET="64b1f0a7c95d4e3f8a2b6d90e7c1f358",
        SESSION_SECRET="0d9e61b7f3a84c52b6c8e41f97a203d5",
        AUTH_TOKEN_SECRET="c7a2e90f14d84b6395e8b1f0627da3c4",
        INVITE_TOKEN_SECRET="92f4b8d16ce7405a83d0f7e5b94c1a26",
        GATEWAY_MAX_CONNECTIONS=str(GATEWAY_CONNECTIONS),
        UPSTREAM_MAX_CONNECTIONS=str(UPSTREAM_CONNECTIONS),
        CHAT_OPEN_ANSWERS_PER_USER=str(2 * HANGING),
        **dict.fromkeys(("CHAT_RPM_PER_COMPANY", "CHAT_RPM_PER_USER", "CHAT_RPM_PER_IP"), "100000"),
    )


@pytest.fixture(scope="module")
def stack(environ: dict[str, str]) -> Iterator[dict[str, Any]]:
    data = Path(environ["HOME"]) / "data"
    with started("up", "--json", "--data-dir", data, environ=environ) as process:
        yield addresses_of(process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def person(stack: dict[str, Any], api_key: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {api_key}"}
    return httpx.AsyncClient(base_url=stack["product_url"], headers=headers, timeout=30, trust_env=False)


def message(text: str, **fields: Any) -> dict[str, Any]:
    return {"client_message_id": uuid4().hex, "text": text, **fields}


async def code_of_hanging(client: httpx.AsyncClient) -> str:
    """Have an answer that never comes; return the code with which it was refused, if it was."""
    body = message("[[simulate: no_answer]]", stream=True)
    async with client.stream("POST", "/v1/chat", json=body) as response:
        if response.status_code != 200:
            return str(json.loads(await response.aread())["detail"]["code"])
        return "company_busy" if b"company_busy" in await response.aread() else "answered"


async def test_hanging_answers_of_one_company_leave_room_for_another(
    stack: dict[str, Any], environ: dict[str, str]
) -> None:
    settings = {**environ, "DATABASE_URL": stack["database_url"]}
    other_key = await asyncio.to_thread(seed, settings, None)
    async with person(stack, stack["api_key"]) as hanging, person(stack, other_key) as other:
        calls = [asyncio.create_task(code_of_hanging(hanging)) for _ in range(HANGING)]

        async def are_refused() -> bool:
            return sum(call.done() for call in calls) == HANGING - 8

        await until(are_refused)
        assert {call.result() for call in calls if call.done()} == {"company_busy"}
        refused = await hanging.post("/v1/chat", json=message("Hello"))
        assert (refused.status_code, refused.json()["detail"]["code"]) == (503, "company_busy")

        answers = [await other.post("/v1/chat", json=message("Hello")) for _ in range(SENDS)]
        assert [answer.status_code for answer in answers] == [200] * SENDS
        streams = [await other.post("/v1/chat", json=message("Hello", stream=True)) for _ in range(SENDS)]
        assert [b"event: final" in answer.content for answer in streams] == [True] * SENDS
        charged = sum(Decimal(answer.json()["charge_credits"]) for answer in answers)
        assert charged > 0

        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    verified = await asyncio.to_thread(run, "ledger", "verify", environ=settings)
    assert verified.returncode == 0, verified.stdout + verified.stderr
