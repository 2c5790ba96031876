"""A worker that is killed again and again does not end the others."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil

from support.gateway.app import gateway_settings
from support.http.serving import free_port, until_listening
from support.processes.waiting import until


async def test_a_worker_killed_three_times_in_a_row_is_replaced(tmp_path: Path) -> None:
    port = free_port()
    environ = {
        "GATEWAY_PORT": str(port),
        "GATEWAY_SHARED_SECRET": gateway_settings().gateway_shared_secret.reveal(),
        "OPENAI_API_KEY": "sk-any",
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
    }
    with (tmp_path / "gateway.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - our own code, and starting it takes no time
            [sys.executable, "-m", "b2b_chat.cli", "gateway"], env={**os.environ, **environ}, stdout=log, stderr=log
        )
    try:
        await until_listening(port, timeout_seconds=30)
        killed: set[int] = set()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:

            async def is_served_by_another() -> bool:
                workers = {child.pid for child in psutil.Process(process.pid).children()}
                if not workers - killed:
                    return False
                try:
                    return (await http.get("/health")).status_code == 200
                except httpx.TransportError:
                    return False

            for _ in range(3):
                await until(is_served_by_another, timeout_seconds=30)
                (worker,) = {child.pid for child in psutil.Process(process.pid).children()} - killed
                killed.add(worker)
                os.kill(worker, signal.SIGKILL)
            await until(is_served_by_another, timeout_seconds=30)
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(timeout=60)
