"""What others feel while somebody attacks: `/health`, another company's sign-in, and another company's sends.

Starts the whole software as `b2b-chat up` does, and prints the time of each probe alone and under each attack:

* `bodies`: a stranger sends 1 MiB of empty objects to `/auth/verify`, 4 at a time;
* `searches`: a member searches 400 long messages for what is in none of them, 8 at a time;
* `senders`: 200 clients of one company send messages, one after the other.

    uv run python tests/bench/attacks.py [SECONDS] [PYTHON]

PYTHON is that of another checkout, to compare with.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

import asyncpg
import httpx

SETTINGS = {
    "GATEWAY_SHARED_SECRET": "5bd41c93e7f04c1f8aa6f7df2c2f3a90",
    "SESSION_SECRET": "6e0c7a52d9f14b3c8b1f5a90c4d72e18",
    "AUTH_TOKEN_SECRET": "a83f1c6d07e24f9bb5c2d94e60718f3a",
    "INVITE_TOKEN_SECRET": "d1975be80c3a4f62a7e4f0b3952c6d81",
    **dict.fromkeys(("CHAT_RPM_PER_COMPANY", "CHAT_RPM_PER_USER", "CHAT_RPM_PER_IP", "LOGIN_RPM_PER_IP"), "10000000"),
}
SEED = """
import json, os
from b2b_chat.sandbox.world import seed
print(json.dumps([seed(os.environ, None) for _ in range(2)]))
"""
BODIES = """
import asyncio, sys
from urllib.parse import urlsplit
url = urlsplit(sys.argv[1])
body = b"[" + b",".join([b"{}"] * 349_000) + b"]"
head = "POST /auth/verify HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nContent-Type: application/json\\r\\n"
async def attack():
    while True:
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        try:
            writer.write(f"{head}Content-Length: {len(body)}\\r\\n\\r\\n".encode() + body)
            await reader.read()
        except OSError:
            pass
        finally:
            writer.close()
async def main():
    await asyncio.gather(*[attack() for _ in range(4)])
asyncio.run(main())
"""
SENDERS = """
import asyncio, json, sys
from urllib.parse import urlsplit
from uuid import uuid4
url, key = urlsplit(sys.argv[1]), sys.argv[2]
head = f"POST /v1/chat HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: Bearer {key}\\r\\nContent-Type: application/json\\r\\n"
async def send():
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    while True:
        body = json.dumps({"client_message_id": uuid4().hex, "text": "Hello there"}).encode()
        writer.write(f"{head}Content-Length: {len(body)}\\r\\n\\r\\n".encode() + body)
        received = (await reader.readuntil(b"\\r\\n\\r\\n")).lower()
        await reader.readexactly(int(received.partition(b"content-length: ")[2].partition(b"\\r")[0]))
async def main():
    await asyncio.gather(*[send() for _ in range(200)])
asyncio.run(main())
"""
FILL = """
    WITH conversation AS (
        INSERT INTO conversations (id, company_id, user_id, title) VALUES (gen_random_uuid(), $1, $2, 'Long')
        RETURNING id
    )
    INSERT INTO messages (id, company_id, user_id, conversation_id, role, status, text, completed_at)
    SELECT gen_random_uuid(), $1, $2, id, 'user', 'completed', repeat('a', 8000), now()
    FROM conversation, generate_series(1, 400)
"""

Probe = Callable[[], Awaitable[int]]


async def probed(probe: Probe, seconds: float) -> tuple[list[float], int]:
    """How long each answer of a probe took, in order of length, and how many were none of its own."""
    times: list[float] = []
    failed = 0
    end_at = time.perf_counter() + seconds
    while time.perf_counter() < end_at:
        started_at = time.perf_counter()
        failed += await probe() >= 500
        times.append(time.perf_counter() - started_at)
        await asyncio.sleep(0.02)
    return sorted(times), failed


async def attacked(probe: Probe, attack: Probe | None, *, at_once: int, seconds: float) -> str:
    """The figures of a probe while an attack is under way."""

    async def keep_on() -> None:
        while attack is not None:
            with suppress(httpx.HTTPError):
                await attack()
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(keep_on()) for _ in range(at_once)]
    await asyncio.sleep(min(2.0, seconds / 2) if attack else 0)
    times, failed = await probed(probe, seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    p50, p99 = (times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.99))
    return f"p50 {1000 * p50:8.1f} ms   p99 {1000 * p99:8.1f} ms   {failed} of {len(times)} failed"


async def attacked_from_outside(probe: Probe, program: Sequence[str], seconds: float) -> str:
    """The figures of a probe while another process attacks: in this one it would slow the probe itself."""
    attacking = await asyncio.create_subprocess_exec(sys.executable, "-c", *program, stderr=subprocess.DEVNULL)
    try:
        await asyncio.sleep(3)
        return await attacked(probe, None, at_once=0, seconds=seconds)
    finally:
        attacking.kill()
        await attacking.wait()


async def measure(where: dict[str, Any], keys: Sequence[str], seconds: float) -> None:
    """Print the figures."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=where["product_url"], trust_env=False, timeout=60, limits=limits) as http:
        attacker, other = ({"Authorization": f"Bearer {key}"} for key in keys)
        database = await asyncpg.connect(where["database_url"])
        owners = await database.fetch("SELECT company_id, user_id FROM api_keys WHERE starts_with($1, prefix)", keys[0])
        await database.execute(FILL, *owners[0])
        await database.close()

        async def health() -> int:
            return (await http.get("/health")).status_code

        async def sign_in() -> int:
            return (await http.post("/auth/verify", json={"token": uuid4().hex * 2})).status_code

        async def chat(headers: dict[str, str], text: str) -> int:
            body = {"client_message_id": uuid4().hex, "text": text}
            return (await http.post("/v1/chat", json=body, headers=headers)).status_code

        async def send() -> int:
            return await chat(other, "Hello")

        async def searches() -> int:
            search = {"search": "a" * 199 + "b"}
            return (await http.get("/v1/conversations", params=search, headers=attacker)).status_code

        plans: list[tuple[str, Probe, Probe | None, int]] = [
            ("health, alone", health, None, 0),
            ("sign-in, alone", sign_in, None, 0),
            ("sign-in under searches", sign_in, searches, 8),
            ("send, alone", send, None, 0),
        ]
        for title, probe, attack, at_once in plans:
            figures = await attacked(probe, attack, at_once=at_once, seconds=seconds)
            sys.stdout.write(f"{title:24} {figures}\n")
            sys.stdout.flush()
        apart = [("health under bodies", health, BODIES), ("send under 200 senders", send, SENDERS)]
        for title, probe, program in apart:
            figures = await attacked_from_outside(probe, [program, where["product_url"], keys[0]], seconds)
            sys.stdout.write(f"{title:24} {figures}\n")
            sys.stdout.flush()


def main(seconds: float, python: str) -> None:
    """Start everything, measure, and end it."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    ports = dict.fromkeys(("PRODUCT_PORT", "GATEWAY_PORT", "OPENAI_SIMULATOR_PORT", "MAIL_CATCHER_PORT"), "0")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - PostgreSQL runs as another user where we are root
        environ = {**kept, **ports, **SETTINGS}
        command = [python, "-P", "-m", "b2b_chat.cli", "up", "--json", "--data-dir", f"{folder}/data"]
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as up:
            assert up.stdout is not None
            where: dict[str, Any] = json.loads(up.stdout.readline())
            try:
                seeding = {**environ, "DATABASE_URL": where["database_url"]}
                done = subprocess.run([python, "-P", "-c", SEED], env=seeding, check=True, capture_output=True)
                asyncio.run(measure(where, json.loads(done.stdout.splitlines()[-1]), seconds))
            finally:
                up.terminate()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0, sys.argv[2] if len(sys.argv) > 2 else sys.executable)
