"""The simulator as the demo runs it: a Granian process of its own."""

import asyncio
import os
import sys

import aiohttp
import pytest

from support.http.serving import free_port, until_listening
from support.openai.simulated import wired

TARGET = "b2b_chat.sandbox.openai_simulator:create_app"


async def test_a_granian_process_serves_it_by_its_environment_and_can_reset() -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "granian", "--interface", "asgi", "--http", "1", "--loop", "uvloop", "--no-ws"),
        *("--port", str(port), "--workers-kill-timeout", "2", "--no-log", "--factory", TARGET),
        env={**os.environ, "OPENAI_SIMULATOR_DIRECTIVES": "text=from-the-environment"},
    )
    try:
        await until_listening(port, timeout_seconds=30)
        async with wired(f"http://127.0.0.1:{port}") as wire:
            async with wire.post() as response:
                answer = await response.json()
            with pytest.raises(aiohttp.ClientOSError, match="Connection reset by peer"):
                await wire.post("reset")
            async with wire.post("reset_after=2", stream=True) as response:
                with pytest.raises(aiohttp.ClientPayloadError, match="Connection reset by peer"):
                    await response.read()
    finally:
        process.terminate()
        await process.wait()

    assert answer["choices"][0]["message"]["content"] == "from-the-environment"
