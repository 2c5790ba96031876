"""What anybody can send is looked at before it is gathered, for a while, and up to an amount."""

import asyncio
import json
import time
from collections.abc import Mapping

import pytest

from b2b_chat.contract.signing import sign
from support.gateway.app import SECRET, Gateway, gateway, gateway_settings
from support.openai.simulated import Wire
from support.processes.waiting import until


def head(size_bytes: int, *, made_at: float | None = None, changes: Mapping[str, str] | None = None) -> bytes:
    made_at = time.time() if made_at is None else made_at
    headers = sign(SECRET.encode(), "POST", "/v1/chat", b"", unix_seconds=int(made_at)) | dict(changes or {})
    lines = ["POST /v1/chat HTTP/1.1", "Host: here", f"Content-Length: {size_bytes}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value]
    return "\r\n".join([*lines, "", ""]).encode()


async def answer_to(client: Gateway, request: bytes) -> str:
    """The code of the refusal, for which no body needs to be sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(request)
    _, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    code: str = json.loads(body)["error"]["code"]
    return code


@pytest.mark.parametrize(
    ("request_head", "code"),
    [
        (head(1000, changes={"X-Signature": ""}), "missing_signature"),
        (head(1000, changes={"X-Nonce": "x"}), "malformed_signature"),
        (head(1000, made_at=1), "stale_timestamp"),
    ],
    ids=["unsigned", "malformed", "stale"],
)
async def test_headers_are_judged_before_a_body_is_there(patient: Gateway, request_head: bytes, code: str) -> None:
    assert await answer_to(patient, request_head) == code


async def test_a_body_has_a_deadline(openai: Wire) -> None:
    settings = gateway_settings(openai_base_url=f"{openai.url}/v1", gateway_body_timeout_seconds=0.2)
    async with gateway(settings) as client:
        assert await answer_to(client, head(1000)) == "invalid_body"
        assert (await client.post()).status_code == 200


async def test_unsigned_bodies_take_so_much_memory_together(openai: Wire) -> None:
    settings = gateway_settings(openai_base_url=f"{openai.url}/v1", gateway_max_unsigned_bytes=3000)
    async with gateway(settings) as client:
        waiting = [await asyncio.open_connection("127.0.0.1", client.port) for _ in range(3)]
        for _, writer in waiting:
            writer.write(head(900))
            await writer.drain()

        async def is_full() -> bool:
            return await answer_to(client, head(2000)) == "gateway_busy"

        await until(is_full)
        for _, writer in waiting:
            writer.close()

        async def has_room() -> bool:
            return (await client.post()).status_code == 200

        await until(has_room)
