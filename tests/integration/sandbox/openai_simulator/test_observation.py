"""What the simulator reports about the calls that it got."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from yarl import URL

from b2b_chat.sandbox.openai_simulator import SimulatorSettings
from support.openai.simulated import Wire, simulated_openai


async def seen_when(wire: Wire, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The last call, once it is as the condition says."""
    async with asyncio.timeout(10):
        while True:
            calls = await wire.seen()
            if calls and condition(calls[-1]):
                return calls[-1]
            await asyncio.sleep(0.01)


def has_ended(call: dict[str, Any]) -> bool:
    return bool(call["outcome"] != "running")


async def test_a_call_is_reported_without_its_content(wire: Wire) -> None:
    messages = [{"role": "system", "content": "secret-one"}, {"role": "user", "content": "secret-two"}]
    async with wire.post("key=k; tokens=3", stream=True, messages=messages, max_completion_tokens=9) as response:
        await response.read()
    call = await seen_when(wire, has_ended)

    assert call.pop("received_at") > 0
    assert call.pop("ended_monotonic_seconds") >= call.pop("received_monotonic_seconds")
    assert call == {
        "number": 1,
        "method": "POST",
        "path": "/v1/chat/completions",
        "authorization_present": True,
        "model": "gpt-5.2",
        "roles": ["system", "user"],
        "stream": True,
        "max_completion_tokens": 9,
        "key": "k",
        "attempt": 1,
        "status": 200,
        "deltas_sent": 3,
        "outcome": "completed",
        "client_gone_monotonic_seconds": None,
    }
    assert not {"secret-one", "secret-two", "sk-any"} & set(json.dumps(await wire.seen()).split('"'))


async def test_attempts_and_their_gaps_are_reported(wire: Wire) -> None:
    for _ in range(3):
        async with wire.post("status=500; key=k; fail_times=2"):
            pass
    calls = await wire.seen()
    received = [call["received_monotonic_seconds"] for call in calls]

    assert [(call["attempt"], call["status"], call["outcome"]) for call in calls] == [
        (1, 500, "refused"),
        (2, 500, "refused"),
        (3, 200, "completed"),
    ]
    assert received == sorted(received)


async def test_refused_calls_are_reported_too(wire: Wire) -> None:
    async with aiohttp.ClientSession(wire.url) as anyone, anyone.post("/v1/unknown"):
        pass
    call = (await wire.seen())[-1]

    assert (call["authorization_present"], call["path"], call["status"]) == (False, "/v1/unknown", 404)


async def test_the_record_can_be_cleared(wire: Wire) -> None:
    async with wire.post():
        pass
    await wire.forget()

    assert await wire.seen() == []


async def test_only_the_last_calls_are_kept() -> None:
    async with simulated_openai(SimulatorSettings(kept_requests=2)) as wire:
        for _ in range(4):
            async with wire.post():
                pass

        assert [call["number"] for call in await wire.seen()] == [3, 4]


@pytest.mark.parametrize(
    ("directives", "outcome", "deltas"),
    [("close", "close", 0), ("reset", "reset", 0), ("cut_after=2", "cut", 2), ("half_chunk_after=3", "half_chunk", 3)],
)
async def test_how_a_call_broke_is_reported(wire: Wire, directives: str, outcome: str, deltas: int) -> None:
    with contextlib.suppress(aiohttp.ClientError):
        async with wire.post(directives, stream=True) as response:
            await response.read()
    call = await seen_when(wire, has_ended)

    assert (call["outcome"], call["deltas_sent"]) == (outcome, deltas)


@pytest.mark.parametrize("directives", ["tokens=100000; tps=50", "stall_after=3"])
async def test_a_caller_that_leaves_ends_the_stream(wire: Wire, directives: str) -> None:
    async with wire.post(directives, stream=True) as response:
        await response.content.readuntil(b"\n\n")
        await seen_when(wire, lambda call: call["deltas_sent"] >= 3)
        response.close()
    call = await seen_when(wire, has_ended)

    assert call["outcome"] == "client_gone"
    assert call["client_gone_monotonic_seconds"] >= call["received_monotonic_seconds"]
    assert call["deltas_sent"] < 1000


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("directives", ["no_answer", "delay_ms=60000"])
async def test_a_caller_that_leaves_before_the_headers_is_noticed(wire: Wire, directives: str, *, stream: bool) -> None:
    asking = asyncio.ensure_future(wire.post(directives, stream=stream))
    await seen_when(wire, lambda call: call["model"] is not None)
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking

    seen = await seen_when(wire, has_ended)
    assert (seen["outcome"], seen["status"]) == ("client_gone", None)


async def test_a_caller_that_leaves_in_the_middle_of_its_request_is_noticed(wire: Wire) -> None:
    url = URL(wire.url)
    _, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: simulator\r\nContent-Length: 1000\r\n\r\n{")
    await seen_when(wire, lambda call: not has_ended(call))
    writer.close()
    await writer.wait_closed()

    assert (await seen_when(wire, has_ended))["outcome"] == "client_gone"


async def test_a_caller_that_reads_nothing_holds_the_answer_back_until_it_leaves(wire: Wire) -> None:
    async with wire.post("tokens=60000", stream=True) as response:
        await seen_when(wire, lambda call: call["deltas_sent"] > 1000)
        response.close()
    call = await seen_when(wire, has_ended)

    assert call["outcome"] == "client_gone"
    assert call["deltas_sent"] < 60000
