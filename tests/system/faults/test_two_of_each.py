"""Two products and two gateways behind nginx: one of each is lost under load, and no message is.

    client -> nginx -> product_api, product_api -> nginx -> gateway_api, gateway_api -> simulated OpenAI

The products share a database and a Valkey, the gateways another Valkey.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest_asyncio

from b2b_chat.product.chat.relay.messages import Taken
from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.database.world import Person, open_world
from support.faults.processes import Part
from support.faults.stack import FaultStack, fault_stack
from support.faults.witness import Reply, Sent, Witness, documented_errors
from support.network.balancer import balancing
from support.processes.programs import needed_tool
from support.processes.waiting import until
from support.product.relay import Overheard, overhearing, running_valkey

TEXT = "Hello [[simulate: tokens={tokens}; tps=60]]"
CLIENTS = 8
BEFORE_SECONDS = 2.0
GATEWAY_CHANGES = {
    "GATEWAY_IN_FLIGHT_LEASE_SECONDS": "2",
    # Gateways refuse calls for the skew's length after their Valkey was new.
    "GATEWAY_CLOCK_SKEW_SECONDS": "5",
    "GATEWAY_NONCE_TTL_SECONDS": "20",
}
AFTER_SECONDS = 1.0
RETRY_SECONDS = 0.3


@dataclass
class Pairs:
    """Everything, twice."""

    stack: FaultStack
    products: tuple[Part, Part]
    gateways: tuple[Part, Part]
    valkey: EmbeddedValkey
    """That of the products."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pairs() -> AsyncIterator[Pairs]:
    needed_tool("nginx", package="nginx-light")
    async with fault_stack(random.Random()) as stack:
        with ExitStack() as servers:
            product_valkey = servers.enter_context(running_valkey(stack.folder / "valkey-p"))
            gateway_valkey = servers.enter_context(running_valkey(stack.folder / "valkey-g"))
            stack.product.environ |= {"VALKEY_URL": product_valkey.url, "RELAY_HEARTBEAT_SECONDS": "0.5"}
            stack.gateway.environ |= {"VALKEY_URL": gateway_valkey.url, **GATEWAY_CHANGES}
            second_product, second_gateway = stack.twin(stack.product), stack.twin(stack.gateway)
            product_port, gateway_port = stack.new_port(), stack.new_port()
            products, gateways = (stack.product, second_product), (stack.gateway, second_gateway)
            balanced = {product_port: products, gateway_port: gateways}
            servers.enter_context(
                balancing(
                    stack.folder / "nginx",
                    {port: [part.port for part in parts] for port, parts in balanced.items()},
                )
            )
            for part in (*products, *gateways):
                part.launch()
            for part in (*products, *gateways):
                await part.wait_until_healthy()
            stack.client_line.target = ("127.0.0.1", product_port)
            stack.gateway_line.target = ("127.0.0.1", gateway_port)
            yield Pairs(stack, products, gateways, product_valkey)


@dataclass
class Load:
    """Clients that send, disconnect, return and send again, until the test stops them."""

    witness: Witness
    rng: random.Random
    people: list[Person]
    is_over: bool = False
    replies: list[Reply] = field(default_factory=list)
    under_way: int = 0

    async def run(self) -> None:
        """As many clients at once as `CLIENTS` says."""
        await asyncio.gather(*[self._act() for _ in range(CLIENTS)])

    async def _act(self) -> None:
        while not self.is_over:
            self.under_way += 1
            text = TEXT.format(tokens=self.rng.randint(5, 90))
            reply = await self.witness.send(self.rng.choice(self.people), text)
            while not reply.is_answered and reply.sent is not None and not self.is_over:
                await asyncio.sleep(RETRY_SECONDS)
                reply = await self.witness.send_again(reply.sent)
            self.replies.append(reply)
            self.under_way -= 1

    async def come_and_go(self) -> None:
        """Follow answers that others wait for, leave them, come back, and send the same messages again."""
        while not self.is_over:
            known = [sent for sent in self.witness.sent.values() if sent.ids is not None and sent.answer is None]
            if known:
                await self._come_back_to(self.rng.choice(known))
            await asyncio.sleep(0.02)

    async def _come_back_to(self, sent: Sent) -> None:
        heard = await self.witness.follow(sent, until_text=self.rng.randint(1, 60))
        rest = await self.witness.follow(sent, heard.last_event_id)
        if sent.answer is not None and heard.events and rest.is_answered and "start" not in rest.events:
            assert heard.text + rest.text == sent.answer["text"], "what was read on the way is not the answer"
        await self.witness.send_again(sent)


async def _are_served(witness: Witness, begun_before: Collection[object]) -> bool:
    """Whether several messages were sent and answered while one of each was gone."""
    later = [sent for key, sent in witness.sent.items() if key not in begun_before]
    return sum(sent.answer is not None for sent in later) >= CLIENTS // 2


async def _is_loaded(load: Load) -> bool:
    return load.under_way >= CLIENTS and len(load.replies) > CLIENTS


async def test_one_product_and_one_gateway_are_lost_under_load(pairs: Pairs, rng: random.Random) -> None:
    stack = pairs.stack
    lost = [rng.choice(pairs.products), rng.choice(pairs.gateways)]
    async with open_world(stack.postgres.url) as world:
        witness = Witness(stack, world, documented_errors(stack), rng)
        async with witness.connected(), overhearing(pairs.valkey) as overheard:
            load = Load(witness, rng, [await world.person() for _ in range(CLIENTS)])
            acting = [asyncio.create_task(work) for work in (load.run(), *[load.come_and_go() for _ in range(4)])]
            await until(lambda: _is_loaded(load), timeout_seconds=30)
            await asyncio.sleep(rng.uniform(0.5, 1) * BEFORE_SECONDS)
            for part in lost:
                part.kill()
            begun_before = set(witness.sent)
            await until(lambda: _are_served(witness, begun_before), timeout_seconds=30)
            for part in lost:
                part.launch()
            for part in lost:
                await part.wait_until_healthy()
            await asyncio.sleep(AFTER_SECONDS)
            load.is_over = True
            await asyncio.gather(*acting)
            await witness.answer_all()
            await witness.check()
    assert _was_followed(overheard), "no answer was read from another product"


def _was_followed(overheard: Overheard) -> bool:
    return any(isinstance(message, Taken) for _, message in overheard.messages)
