"""A client that disconnects ends its call to OpenAI, and a client over the capacity is refused."""

import asyncio
import json
import secrets
from typing import Any

import httpx
import pytest

from support.gateway.app import Gateway, failure_of, gateway, gateway_settings
from support.gateway.chat_bodies import chat_request
from support.openai.simulated import Wire
from support.processes.waiting import until

both_modes = pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])


async def seen_by(openai: Wire, key: str) -> dict[str, Any]:
    return next((call for call in await openai.seen() if call["key"] == key), {})


async def outcome(openai: Wire, key: str, *, expected: str) -> bool:
    return (await seen_by(openai, key)).get("outcome") == expected


@both_modes
async def test_a_disconnect_before_the_first_text_closes_the_call(
    openai: Wire, patient: Gateway, *, stream: bool
) -> None:
    key = secrets.token_hex(4)
    task = asyncio.create_task(patient.post(f"[[simulate: no_answer;key={key}]]", stream=stream))
    await until(lambda: outcome(openai, key, expected="running"))
    task.cancel()
    await until(lambda: outcome(openai, key, expected="client_gone"))


async def test_a_disconnect_mid_answer_closes_the_call(openai: Wire, patient: Gateway) -> None:
    key = secrets.token_hex(4)
    async with patient.opened(f"[[simulate: tps=20;tokens=1000;key={key}]]", max_completion_tokens=1000) as response:
        async for chunk in response.aiter_raw():
            if b"event: delta" in chunk:
                break
    await until(lambda: outcome(openai, key, expected="client_gone"))
    assert (await seen_by(openai, key))["deltas_sent"] < 100


async def test_a_disconnect_while_openai_is_silent_closes_the_call(openai: Wire, patient: Gateway) -> None:
    key = secrets.token_hex(4)
    async with patient.opened(f"[[simulate: tps=100;stall_after=2;key={key}]]") as response:
        await anext(response.aiter_raw())
    await until(lambda: outcome(openai, key, expected="client_gone"))


@both_modes
async def test_a_disconnect_before_a_retry_prevents_it(openai: Wire, *, stream: bool) -> None:
    key = secrets.token_hex(4)
    settings = gateway_settings(openai_base_url=f"{openai.url}/v1", upstream_max_attempts=2)
    async with gateway(settings) as client:
        prompt = f"[[simulate: status=503;retry_after_ms=400;key={key}]]"
        task = asyncio.create_task(client.post(prompt, stream=stream))
        await until(lambda: outcome(openai, key, expected="refused"))
        task.cancel()
        await asyncio.sleep(0.6)
    assert len([call for call in await openai.seen() if call["key"] == key]) == 1


async def test_a_disconnect_while_sending_does_no_harm(patient: Gateway) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", patient.port)
    writer.write(b"POST /v1/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await patient.post()).status_code == 200


async def test_one_call_too_many_is_refused_and_room_comes_back(openai: Wire) -> None:
    key = secrets.token_hex(4)
    settings = gateway_settings(openai_base_url=f"{openai.url}/v1", upstream_max_connections=1)
    async with gateway(settings) as client:
        running = asyncio.create_task(client.post(f"[[simulate: no_answer;key={key}]]"))
        await until(lambda: outcome(openai, key, expected="running"))
        refused = await client.post()
        assert refused.status_code == 503
        assert failure_of(refused)["code"] == "gateway_busy"
        running.cancel()
        await until(lambda: outcome(openai, key, expected="client_gone"))

        async def has_room() -> bool:
            return (await client.post()).status_code == 200

        await until(has_room)


async def test_a_hundred_disconnects_leave_nothing_behind(openai: Wire) -> None:
    room = {"upstream_max_connections": 30, "upstream_company_share_percent": 100}
    settings = gateway_settings(openai_base_url=f"{openai.url}/v1", **room)
    await openai.forget()
    async with gateway(settings) as client:
        for _ in range(4):
            tasks = [
                asyncio.create_task(client.post("[[simulate: tps=20;tokens=100]]", stream=number % 2 == 0))
                for number in range(25)
            ]
            await asyncio.sleep(0.2)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

            async def nobody_runs() -> bool:
                return all(call["outcome"] != "running" for call in await openai.seen())

            await until(nobody_runs)
        answers = await asyncio.gather(*[client.post(stream=number % 2 == 0) for number in range(25)])
    assert {answer.status_code for answer in answers} == {200}


async def test_an_immediate_disconnect_leaves_nothing_behind(openai: Wire, patient: Gateway) -> None:
    await openai.forget()
    auth = patient.http.auth
    for _ in range(30):
        body = json.dumps(chat_request("[[simulate: tps=20;tokens=100]]", stream=True)).encode()
        request = httpx.Request("POST", f"{patient.url}/v1/chat", content=body)
        assert auth is not None
        next(auth.auth_flow(request))
        head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        _, writer = await asyncio.open_connection("127.0.0.1", patient.port)
        writer.write(f"POST /v1/chat HTTP/1.1\r\n{head}\r\n".encode() + body)
        await writer.drain()
        writer.close()

    async def nobody_runs() -> bool:
        return all(call["outcome"] != "running" for call in await openai.seen())

    await until(nobody_runs)
