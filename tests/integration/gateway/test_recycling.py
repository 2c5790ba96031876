"""A worker that makes room for a fresh one, as on SIGHUP, ends the streams that it has begun."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import httpx
import psutil

from support.gateway.app import Gateway, Signed, events_of, gateway_settings
from support.http.serving import free_port, until_listening
from support.openai.simulated import simulated_openai
from support.processes.waiting import until

SECRET: Final = gateway_settings().gateway_shared_secret.reveal()
LONG: Final = "[[simulate: tokens=160; tps=20]]"
"""Eight seconds: Granian waits three and a half before it ends the old worker."""


async def workers(pid: int) -> set[int]:
    return {child.pid for child in psutil.Process(pid).children()}


async def test_a_stream_that_outlives_its_worker_ends_exactly(tmp_path: Path) -> None:
    port = free_port()
    async with simulated_openai() as openai:
        environ = {
            "GATEWAY_PORT": str(port),
            "GATEWAY_SHARED_SECRET": SECRET,
            "OPENAI_API_KEY": "sk-any",
            "OPENAI_BASE_URL": f"{openai.url}/v1",
        }
        with (tmp_path / "gateway.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: ASYNC220 - our own code, and starting it takes no time
                [sys.executable, "-m", "b2b_chat.cli", "gateway"], env={**os.environ, **environ}, stdout=log, stderr=log
            )
        try:
            await until_listening(port, timeout_seconds=30)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", auth=Signed(SECRET), timeout=60) as http:
                assert (await http.get("/health")).status_code == 200
                (old,) = await workers(process.pid)
                asking = asyncio.create_task(Gateway(str(http.base_url), http).post(LONG, stream=True))

                async def is_asked() -> bool:
                    return bool(await openai.seen())

                await until(is_asked, timeout_seconds=30)
                process.send_signal(signal.SIGHUP)

                async def is_replaced() -> bool:
                    return old not in await workers(process.pid) and not psutil.pid_exists(old)

                streamed = await asking
                await until(is_replaced, timeout_seconds=30)
                later = await Gateway(str(http.base_url), http).post()
        finally:
            process.terminate()
            process.wait(timeout=60)
    *deltas, final = events_of(streamed)
    assert final.name == "final"
    text = json.loads(final.data)["text"]
    assert len(text.split()) > 100
    assert "".join(json.loads(event.data)["text"] for event in deltas) == text
    assert later.status_code == 200
