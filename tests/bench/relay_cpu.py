"""CPU per delta of the process that writes answers, with 0 and 1 follower of each in another process.

    uv run python tests/bench/relay_cpu.py [--streams 50] [--deltas 100] [--per-second 20] [--rounds 5]

The writer and the follower are two product_apis on one PostgreSQL and one Valkey; every delta comes alone, paced, from
a gateway inside this process. What a delta costs is the difference to answers that consist of one delta, so that
sending, settling and waiting are not counted.
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import aiohttp
import psutil

from b2b_chat.contract.sse import Decoder, Event
from b2b_chat.product.schema import upgrade_to_head_async
from b2b_chat.sandbox.postgres import EmbeddedPostgres
from support.database.world import Person, open_world
from support.gateway.fake import EVENTS_HEAD, Call, FakeGateway, delta, fake_gateway, final
from support.product.app import product_process
from support.product.relay import running_valkey

WORD = "token "
_MAX_EVENT_BYTES = 1024 * 1024


class Side(NamedTuple):
    """A product_api under measurement."""

    url: str
    processes: list[psutil.Process]

    def cpu_seconds(self) -> float:
        """User and system time of all its processes."""
        times = [process.cpu_times() for process in self.processes]
        return sum(each.user + each.system for each in times)


class Pace:
    """A gateway's answer: so many deltas, each alone."""

    def __init__(self, deltas: int, per_second: float) -> None:
        self._deltas = deltas
        self._pause_seconds = 1 / per_second

    async def __call__(self, call: Call) -> None:
        """Answer one call."""
        await call.send(EVENTS_HEAD)
        start = time.monotonic() + random.uniform(0, self._pause_seconds)
        for number in range(self._deltas):
            await asyncio.sleep(max(0.0, start + number * self._pause_seconds - time.monotonic()))
            await call.send_chunk(delta(WORD))
        await call.send_chunk(final(WORD * self._deltas))
        await call.send_chunk(b"")


@asynccontextmanager
async def stage() -> AsyncIterator[tuple[FakeGateway, Person, Side, Side]]:
    """Two product_apis, and what they need."""
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        await asyncio.to_thread(home.chmod, 0o755)
        postgres = EmbeddedPostgres(home / "postgres", durable=False)
        postgres.start()
        stack.callback(postgres.stop)
        url = postgres.url("postgres")
        await upgrade_to_head_async(url)
        valkey = stack.enter_context(running_valkey(home / "valkey"))
        gateway = await stack.enter_async_context(fake_gateway())
        world = await stack.enter_async_context(open_world(url))
        sides = []
        for _ in range(2):
            base, process = await stack.enter_async_context(
                product_process(home, url, gateway.url, VALKEY_URL=valkey.url, LOG_LEVEL="ERROR")
            )
            main = psutil.Process(process.pid)
            sides.append(Side(base, [main, *main.children(recursive=True)]))
        yield gateway, await world.person(balance="1000000"), sides[0], sides[1]


async def events_of(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """The events of a stream, which must come to its end."""
    decoder = Decoder(max_event_bytes=_MAX_EVENT_BYTES)
    last = "nothing"
    async for chunk in response.content.iter_any():
        for event in decoder.feed(chunk):
            last = event.name
            yield event
    if last != "final":
        raise SystemExit(f"a stream ended with {last}")


async def one(http: aiohttp.ClientSession, writer: Side, follower: Side | None) -> None:
    """Send a message and, where there is a follower, follow its answer there too."""
    body = {"client_message_id": uuid4().hex, "text": "Hello", "stream": True}
    following = None
    async with http.post(f"{writer.url}/v1/chat", json=body) as response:
        async for event in events_of(response):
            if event.name == "start" and follower is not None:
                answer_id = json.loads(event.data)["assistant_message_id"]
                following = asyncio.create_task(follow(http, follower, answer_id))
    if following is not None:
        await following


async def follow(http: aiohttp.ClientSession, follower: Side, answer_id: str) -> None:
    """Follow an answer to its end."""
    async with http.get(f"{follower.url}/v1/chat/{answer_id}/events") as response:
        async for _ in events_of(response):
            pass


async def measure(person: Person, streams: int, writer: Side, follower: Side, *, followed: bool) -> tuple[float, float]:
    """CPU seconds of writer and follower for so many streams at once."""
    headers = {"Authorization": f"Bearer {person.api_key}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as http:
        before = writer.cpu_seconds(), follower.cpu_seconds()
        await asyncio.gather(*[one(http, writer, follower if followed else None) for _ in range(streams)])
        return writer.cpu_seconds() - before[0], follower.cpu_seconds() - before[1]


async def run(options: argparse.Namespace) -> None:
    """Measure and print."""
    figures: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    async with stage() as (gateway, person, writer, follower):
        for _ in range(options.rounds):
            for followed, found in figures.items():
                spent = []
                for deltas in (1, options.deltas + 1):
                    gateway.reply = Pace(deltas, options.per_second)
                    spent.append(await measure(person, options.streams, writer, follower, followed=followed))
                total = options.streams * options.deltas
                few, many = spent
                found.append(((many[0] - few[0]) * 1e6 / total, (many[1] - few[1]) * 1e6 / total))
    print(f"{'CPU µs per delta, median of rounds':40}{'writer':>10}{'follower':>10}")
    for followed, found in figures.items():
        medians = [statistics.median(side) for side in zip(*found, strict=True)]
        print(
            f"{'1 follower elsewhere' if followed else '0 followers elsewhere':40}{medians[0]:10.1f}{medians[1]:10.1f}"
        )


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--deltas", type=int, default=100)
    parser.add_argument("--per-second", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
