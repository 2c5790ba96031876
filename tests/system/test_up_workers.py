"""`b2b-chat up --workers 2`: both apps with two workers each, on an embedded Valkey."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from b2b_chat.kit.settings import Secret
from b2b_chat.kit.valkey import Valkey
from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.processes.commands import addresses_of, clean_environ, run, running_in, started


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return clean_environ(tmp_path)


def chat(addresses: dict[str, Any], client_message_id: str) -> dict[str, Any]:
    answer = httpx.post(
        f"{addresses['product_url']}/v1/chat",
        headers={"Authorization": f"Bearer {addresses['api_key']}"},
        json={"client_message_id": client_message_id, "text": "Hello"},
        timeout=60,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def workers_of(data_dir: Path, command: str) -> list[psutil.Process]:
    """The processes under an app's main one that hold its sockets."""
    (main,) = [
        process
        for process in running_in(data_dir)
        if process.cmdline()[-1:] == [command] and psutil.Process(process.ppid()).cmdline()[-1:] != [command]
    ]
    return [child for child in main.children(recursive=True) if child.net_connections("tcp")]


def test_two_workers_each_chat_and_after_a_flush_nothing_is_charged_twice(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    data_dir = tmp_path / "data"
    with started("up", "--json", "--workers", "2", "--data-dir", data_dir, environ=environ) as process:
        addresses = addresses_of(process)
        for command in ("gateway", "product"):
            deadline = time.monotonic() + 30  # the first to be ready answers while the other still imports
            while len(workers_of(data_dir, command)) != 2:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        sent = [chat(addresses, f"message-{number}") for number in range(6)]
        asyncio.run(flush(EmbeddedValkey(data_dir / "valkey").url))
        again = [chat(addresses, f"message-{number}") for number in range(6)]
        for first, second in zip(sent, again, strict=True):
            assert second["assistant_message_id"] == first["assistant_message_id"]
            assert second["text"] == first["text"]
        balance = httpx.get(
            f"{addresses['product_url']}/v1/balance", headers={"Authorization": f"Bearer {addresses['api_key']}"}
        ).json()
        assert balance["balance_credits"] == sent[-1]["balance_credits"]
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    done = run("up", "--json", "--workers", "65", environ=environ)
    assert done.returncode == 2
    with started("up", "--json", "--data-dir", data_dir, environ=environ) as process:
        addresses_of(process)
        assert not [each for each in running_in(data_dir) if each.name() == "valkey-server"]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert running_in(data_dir) == []


async def flush(url: str) -> None:
    valkey = Valkey(Secret(url), timeout_seconds=5, max_connections=1)
    await valkey.ask("FLUSHALL")
    await valkey.close()


@pytest.mark.parametrize("app", ["product", "gateway"])
def test_an_app_with_several_workers_and_no_valkey_does_not_start(app: str, tmp_path: Path) -> None:
    required = ("DATABASE_URL", "SESSION_SECRET", "AUTH_TOKEN_SECRET", "INVITE_TOKEN_SECRET", "OPENAI_API_KEY")
    variables = dict.fromkeys(required, "postgresql://localhost/none")
    done = run(
        app,
        environ=clean_environ(tmp_path, GATEWAY_SHARED_SECRET="x" * 40, GATEWAY_PORT="8001", WORKERS="2", **variables),
    )
    assert done.returncode == 2
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["VALKEY_URL"]
