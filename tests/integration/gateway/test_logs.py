"""What a gateway's process writes: ids, and never content or credentials. A canary stands in every place of these."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx

from b2b_chat.gateway.log_ids import hashed_by
from support.gateway.app import Gateway, Signed, events_of
from support.gateway.chat_bodies import METADATA, chat_request
from support.http.serving import free_port, until_listening
from support.openai.simulated import simulated_openai

SECRET: Final = "canary-shared-Qm7uW2xR9tLz4KpB8vNc1YsD6f"
PREVIOUS: Final = "canary-previous-Hb5nT8eX3yUa0IwS7oPq2ZrC9"
API_KEY: Final = "sk-canary-key-Zr8Lq2Vn5Xc9Bw4Ty7Ku3Mp6"

_SERVE: Final = (
    "import sys; from b2b_chat.kit.serving import serve; serve(sys.argv[1], host='127.0.0.1', port=int(sys.argv[2]))"
)


@asynccontextmanager
async def gateway_process(log: Path, **environ: str) -> AsyncIterator[Gateway]:
    """A gateway as a process of its own, with all it writes in one file."""
    port = free_port()
    command = [sys.executable, "-c", _SERVE, "b2b_chat.gateway.app:create_app", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - our own code, and starting it takes no time
            command, env={**os.environ, **environ}, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            await until_listening(port, timeout_seconds=30)
            url = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=url, auth=Signed(SECRET), timeout=20) as http:
                yield Gateway(url, http)
        finally:
            process.terminate()
            process.wait(timeout=30)


async def test_no_canary_is_written(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    canaries = [SECRET, PREVIOUS, API_KEY, "canary-prompt", "canary-answer", "canary-query", "canary-header"]
    async with simulated_openai() as openai:
        environ = {
            "LOG_LEVEL": "DEBUG",
            "OPENAI_LOG": "debug",
            "GATEWAY_SHARED_SECRET": SECRET,
            "GATEWAY_SHARED_SECRET_PREVIOUS": PREVIOUS,
            "OPENAI_API_KEY": API_KEY,
            "OPENAI_BASE_URL": f"{openai.url}/v1",
            "UPSTREAM_RETRY_BASE_SECONDS": "0",
        }
        async with gateway_process(log, **environ) as client:
            client.http.headers["X-Canary"] = "canary-header"
            prompts = [
                f"canary-prompt [[simulate: text=canary-answer{faults}]]"
                for faults in (
                    "",
                    ";status=500",
                    ";error=invalid_api_key",
                    ";cut_after=1",
                    ";malformed_after=0",
                    ";close",
                )
            ]
            for prompt in prompts:
                for stream in (False, True):
                    response = await client.post(prompt, stream=stream)
                    sent = response.request.headers
                    canaries += [sent["x-signature"], sent["x-nonce"]]
                    assert b"sk-" not in response.content
            answered = await client.post(prompts[0], stream=True)
            assert b"canary-answer" in events_of(answered)[-1].data
            await client.http.post("/v1/chat?canary-query", content=b'{"model":"canary-prompt"}')
            await client.http.post("/v1/chat", content=json.dumps(chat_request("canary-prompt")), auth=Signed(PREVIOUS))
            await client.http.post("/v1/chat", content=b"canary-prompt", auth=httpx.Auth())
            await client.http.get("/canary-query")
    written = log.read_text()
    assert [canary for canary in canaries if canary in written] == []
    check_lines(written)


def check_lines(written: str) -> None:
    """The app's lines report events by ids. Granian's own, about starting and stopping, are plain text."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    chats = [line for line in lines if line["event"] == "request" and "outcome" in line]
    assert {line["outcome"] for line in chats} == {"answered", "failed"}
    hashed = {name: hashed_by(SECRET)(UUID(value)) for name, value in METADATA.items()}
    assert all({name: line[name] for name in METADATA} == hashed and line["message_id"] for line in chats)
    assert [value for value in METADATA.values() if value in written] == []  # GATEWAY_LOG_IDS is off
    assert {line["code"] for line in chats} >= {"upstream_failed", "upstream_authentication", "upstream_unreachable"}
    assert [line["code"] for line in lines if line["event"] == "call_refused"] == ["missing_signature"]
    assert any(line["event"] == "upstream_retry" for line in lines)
    requests = [line for line in lines if line["event"] == "request"]
    assert {line["status"] for line in requests} >= {200, 400, 401, 404, 502}
    assert all(line["request_id"] for line in requests + chats)
