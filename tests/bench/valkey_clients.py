"""What a nonce in Valkey costs: CPU of our process for each `SET NX PX`, by each client library.

    uv run --with valkey-glide --with 'redis[hiredis]' --with coredis python tests/bench/valkey_clients.py

Libraries that are not installed are left out. Medians of five rounds, one command at once and 32; uvloop, one socket.
"""

import asyncio
import importlib
import os
import resource
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

from b2b_chat.kit.settings import Secret
from b2b_chat.kit.valkey import Valkey
from b2b_chat.sandbox.ports import free_ports
from b2b_chat.sandbox.valkey import EmbeddedValkey

COMMANDS = 4000
ROUNDS = 5
MILLISECONDS = 180_000

Claim = Callable[[bytes], Awaitable[Any]]


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def measured(name: str, claim: Claim) -> None:
    row = [f"{name:32}"]
    for at_once in (1, 32):

        async def caller(count: int) -> None:
            for _ in range(count):
                await claim(os.urandom(16))

        await asyncio.gather(*[caller(10) for _ in range(at_once)])
        costs = []
        for _ in range(ROUNDS):
            before = cpu_seconds()
            await asyncio.gather(*[caller(COMMANDS // at_once) for _ in range(at_once)])
            costs.append((cpu_seconds() - before) / COMMANDS * 1e6)
        row.append(f"{at_once:3} at once {statistics.median(costs):6.1f} us")
    print("  ".join(row), flush=True)


async def ours(url: str) -> None:
    client = Valkey(Secret(url), timeout_seconds=5, max_connections=64)
    await measured("kit.valkey", lambda nonce: client.ask("SET", nonce, "", "NX", "PX", MILLISECONDS))
    await client.close()


async def pooled(module: str, url: str) -> None:
    """Clients of the family of redis-py."""
    library: Any = importlib.import_module(f"{module}.asyncio")
    client = getattr(library, module.capitalize()).from_url(url, max_connections=64, socket_timeout=5)
    await measured(module, lambda nonce: client.set(nonce, b"", nx=True, px=MILLISECONDS))
    await client.aclose()


async def glide(port: int) -> None:
    library: Any = importlib.import_module("glide")
    address = library.NodeAddress("127.0.0.1", port)
    client = await library.GlideClient.create(library.GlideClientConfiguration([address], request_timeout=5000))
    expiry = library.ExpirySet(library.ExpiryType.MILLSEC, MILLISECONDS)
    only_new = library.ConditionalChange.ONLY_IF_DOES_NOT_EXIST
    await measured("valkey-glide", lambda nonce: client.set(nonce, b"", conditional_set=only_new, expiry=expiry))
    await client.close()


async def coredis(port: int) -> None:
    library: Any = importlib.import_module("coredis")
    async with library.Redis(host="127.0.0.1", port=port, max_connections=64) as client:
        only_new = library.PureToken.NX
        await measured("coredis", lambda nonce: client.set(nonce, b"", condition=only_new, px=MILLISECONDS))


async def main(url: str, port: int) -> None:
    for measured_one in (ours(url), pooled("valkey", url), pooled("redis", url), glide(port), coredis(port)):
        try:
            await measured_one
        except ModuleNotFoundError as error:
            print(f"{error.name} is not installed")


if __name__ == "__main__":
    (tcp_port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedValkey(Path(folder), settings={"port": str(tcp_port), "bind": "127.0.0.1"})
        server.start()
        try:
            uvloop.run(main(f"redis://127.0.0.1:{tcp_port}/0", tcp_port))
        finally:
            server.stop()
