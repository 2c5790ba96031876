"""A gateway with its nonces in memory, killed and started again: what was let in once is not let in again."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest_asyncio

from b2b_chat.contract.signing import sign
from b2b_chat.kit.clock import utc_now
from support.faults.processes import Part
from support.gateway.app import API_KEY, SECRET
from support.gateway.chat_bodies import chat_request
from support.http.serving import free_port
from support.openai.simulated import simulated_openai
from support.processes.commands import clean_environ

_PATH = "/v1/chat"
_BODY = json.dumps(chat_request("Recorded")).encode()


@pytest_asyncio.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Part]:
    port = free_port()
    async with simulated_openai() as openai:
        settings = {
            "APP_ENV": "test",
            "GATEWAY_PORT": str(port),
            "GATEWAY_SHARED_SECRET": SECRET,
            "OPENAI_API_KEY": API_KEY,
            "OPENAI_BASE_URL": f"{openai.url}/v1",
        }
        part = Part("gateway", clean_environ(tmp_path, **settings), f"http://127.0.0.1:{port}", tmp_path)
        await part.start()
        yield part
        part.kill()


async def send(gateway: Part, headers: dict[str, str]) -> tuple[int, str | None]:
    async with httpx.AsyncClient(timeout=30) as http:
        headers = {"Content-Type": "application/json", **headers}
        answer = await http.post(gateway.url + _PATH, content=_BODY, headers=headers)
        return answer.status_code, answer.json().get("error", {}).get("code")


def signed(ahead_seconds: int = 0) -> dict[str, str]:
    return sign(SECRET.encode(), "POST", _PATH, _BODY, unix_seconds=int(utc_now().timestamp()) + ahead_seconds)


async def test_a_recorded_call_is_refused_before_and_after_a_restart_and_a_new_one_is_let_in(gateway: Part) -> None:
    recorded = signed()
    assert await send(gateway, recorded) == (200, None)
    assert await send(gateway, recorded) == (401, "replayed_nonce")
    gateway.kill()
    await gateway.start()
    assert await send(gateway, recorded) == (401, "stale_timestamp")
    # A caller whose clock is right has nothing to wait for.
    assert await send(gateway, signed()) == (200, None)


async def test_a_caller_whose_clock_is_ahead_gains_nothing(gateway: Part) -> None:
    recorded = signed(ahead_seconds=1)
    assert (await send(gateway, recorded))[0] == 200
    gateway.kill()
    await gateway.start()
    assert await send(gateway, recorded) == (401, "stale_timestamp")


async def test_how_far_ahead_a_clock_may_be_is_a_setting(gateway: Part) -> None:
    recorded = signed(ahead_seconds=4)
    assert (await send(gateway, recorded))[0] == 200
    gateway.kill()
    begun_at = utc_now()
    await gateway.start(GATEWAY_CALLERS_AHEAD_SECONDS="5")
    assert await send(gateway, recorded) == (401, "stale_timestamp")
    assert (utc_now() - begun_at).total_seconds() > 5
    assert await send(gateway, signed()) == (200, None)
