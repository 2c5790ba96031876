"""A gateway is replaced under load by one beside it on its port: no new send fails, and no running answer ends early.

The gateway that ends has answers for longer than the product waits for a restarting one.
"""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from support.database.world import open_world
from support.faults.processes import Part
from support.faults.stack import FaultStack, fault_stack
from support.faults.witness import Reply, Witness, documented_errors
from support.network.nginx import Nginx
from support.processes.waiting import until
from support.product.relay import running_valkey

SHORT: Final = "Hello [[simulate: tokens=3; tps=60]]"
LONG: Final = "Hello [[simulate: tokens=180; tps=30]]"
"""Six seconds."""
PERIOD_SECONDS: Final = 0.05
PRODUCT: Final = {"GATEWAY_RESTART_WAIT_SECONDS": "0.5"}
GATEWAY: Final = {
    "GATEWAY_SHARES_PORT": "true",
    "SHUTDOWN_GRACE_SECONDS": "30",
    # Gateways refuse calls for the skew's length after their Valkey was new.
    "GATEWAY_CLOCK_SKEW_SECONDS": "5",
    "GATEWAY_NONCE_TTL_SECONDS": "20",
}


@pytest_asyncio.fixture(
    scope="module", loop_scope="session", params=["workers=1", "workers=2", "workers=2, behind nginx"], ids=str
)
async def stack(request: pytest.FixtureRequest) -> AsyncIterator[FaultStack]:
    """One of its own, whose gateway has a Valkey, and perhaps an nginx before it."""
    workers, _, nginx = str(request.param).removeprefix("workers=").partition(", ")
    async with fault_stack(random.Random(), **PRODUCT) as stack, AsyncExitStack() as exits:
        valkey = exits.enter_context(running_valkey(stack.folder / "valkey"))
        stack.gateway.environ |= {**GATEWAY, "VALKEY_URL": valkey.url, "WORKERS": workers}
        stack.gateway.environ["GATEWAY_METRICS_PORT"] = str(stack.new_port())
        await stack.gateway.start()
        if nginx:
            await exits.enter_async_context(behind_nginx(stack))
        yield stack


@asynccontextmanager
async def behind_nginx(stack: FaultStack) -> AsyncIterator[None]:
    """Let product_api reach the gateway by the deployed nginx."""
    port = urlsplit(stack.gateway_url).port
    assert port is not None
    nginx = Nginx(stack.folder / "nginx", {"gateway_api": port})
    with nginx.running():
        stack.product.environ |= {"GATEWAY_URL": nginx.url("gateway_api"), "SSL_CERT_FILE": str(nginx.authority_file)}
        await stack.product.start()
        yield
        assert "/v1/chat" in nginx.logs("*access*")


def beside(stack: FaultStack, old: Part, manager: socket.socket) -> Part:
    """The next gateway, with the port and settings of an old one, under a service manager."""
    new = stack.twin(old)
    new.url = old.url
    new.environ |= {"GATEWAY_PORT": str(old.port), "NOTIFY_SOCKET": manager.getsockname()}
    return new


async def keep_sending(witness: Witness, stopped: asyncio.Event) -> list[Reply]:
    people = [await witness.world.person() for _ in range(8)]
    sending: list[asyncio.Task[Reply]] = []
    while not stopped.is_set():
        sending.append(asyncio.create_task(witness.send(people[len(sending) % 8], SHORT)))
        await asyncio.sleep(PERIOD_SECONDS)
    return await asyncio.gather(*sending)


async def test_a_gateway_hands_over_without_a_failed_send(stack: FaultStack) -> None:
    async with (
        open_world(stack.postgres.url) as world,
        Witness(stack, world, documented_errors(stack), random.Random()).connected() as witness,
    ):
        person = await world.person()
        await witness.send(person)
        await witness.answer_all()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(stack.folder / "notify"))
            manager.settimeout(0)
            old, new = stack.gateway, beside(stack, stack.gateway, manager)
            stopped = asyncio.Event()
            sending = asyncio.create_task(keep_sending(witness, stopped))
            long = [asyncio.create_task(witness.send(person, LONG, stream=True)) for _ in range(10)]
            new.launch()
            loop = asyncio.get_running_loop()
            assert await asyncio.wait_for(loop.sock_recv(manager, 64), 60) == b"READY=1"
        # Those before may be done by now. Some of these are at the old gateway, some at the new one.
        long += [asyncio.create_task(witness.send(person, LONG, stream=True)) for _ in range(20)]
        await until(lambda: _have_begun(witness, len(long)))
        old.ask_to_end()
        await asyncio.sleep(2)
        assert old.is_running, "it drains, and new sends go to the new one"
        await old.ended()
        stopped.set()
        replies = [*await asyncio.gather(*long), *await sending]
        failed = [(reply.status, reply.code) for reply in replies if not reply.is_answered]
        assert failed == [], f"{len(failed)} of {len(replies)}"
        assert "restart" not in {event for reply in replies for event in reply.events}
        await until(lambda: _exports_metrics(new))
        await witness.check()


async def _have_begun(witness: Witness, number: int) -> bool:
    return len([sent for sent in witness.sent.values() if sent.body["text"] == LONG and sent.ids]) == number


async def _exports_metrics(part: Part) -> bool:
    return "metrics_exported" in part.log.read_text()
