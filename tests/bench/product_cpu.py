"""CPU and memory of product_api alone, beside a gateway and clients that cost next to nothing.

    just bench-product-cpu [--rounds 5] [--case WORD] [--json FILE]

CPU time is read from the clocks of product_api's processes, in nanoseconds, so that figures hold on a noisy machine;
printed is the median of the rounds. Every answer must be complete and exact.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

import psutil
import uvloop

from b2b_chat.product.schema import upgrade_to_head
from b2b_chat.sandbox.postgres import EmbeddedPostgres
from bench.lean_gateway import PIECE
from support.database.world import Person, open_world
from support.http.serving import free_port
from support.product.app import environ, until_healthy

_TEXT: Final = re.compile(rb'event: delta\ndata: \{"text":"([^"]*)"\}')
_CONTENT: Final = re.compile(rb'"delta":\{"content":"([^"]*)"\}')


class Place(NamedTuple):
    """Where product_api is, and the person who calls it."""

    url: str
    people: list[Person]
    process: subprocess.Popen[bytes]
    database: int
    database_url: str
    by_openai: bool = False
    """Whether it is asked as OpenAI's clients ask."""

    def cpu_seconds(self) -> float:
        """What its processes have used so far."""
        return sum(_clock(each.pid) for each in self._processes())

    def database_cpu_seconds(self) -> float:
        """The same of PostgreSQL; of backends that are there still."""
        server = psutil.Process(self.database)
        return sum(_clock(each.pid) for each in (server, *server.children(recursive=True)))

    def memory_bytes(self) -> int:
        """What is its own alone."""
        return sum(each.memory_full_info().uss for each in self._processes())

    def _processes(self) -> list[psutil.Process]:
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]


def _clock(pid: int) -> float:
    # The kernel's clock id of another process's CPU time, as clock_getcpuclockid(3) makes it.
    return time.clock_gettime((~pid << 3) | 2)


class Answer(asyncio.Protocol):
    """A connection that sends one message after the other and keeps what comes back."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.delta_times: list[float] = []
        self.first_delta_seconds = 0.0
        self._asked_at = 0.0
        self._done: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def connection_lost(self, error: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(error or ConnectionResetError("closed in mid-answer"))

    async def ask(self, person: Person, text: str, *, stream: bool, by_openai: bool = False) -> bytes:
        """Send a message; return the whole answer, head included."""
        assert self._transport is not None
        fields: dict[str, Any] = {"client_message_id": uuid.uuid4().hex, "text": text, "stream": stream}
        path, key = b"/v1/chat", b""
        if by_openai:
            path, key = b"/v1/chat/completions", b"Idempotency-Key: %b\r\n" % uuid.uuid4().hex.encode()
            fields = {"model": "gpt-5.2", "messages": [{"role": "user", "content": text}], "stream": stream}
        body = json.dumps(fields).encode()
        self.received.clear()
        self.first_delta_seconds = 0.0
        self._done = asyncio.get_running_loop().create_future()
        self._asked_at = time.perf_counter()
        self._transport.write(
            b"POST %b HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n%b"
            b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b"
            % (path, key, person.api_key.encode(), len(body), body)
        )
        await self._done
        return bytes(self.received)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.first_delta_seconds and (b"event: delta" in data or b'{"content"' in data):
            self.first_delta_seconds = time.perf_counter() - self._asked_at
        if self._done is not None and not self._done.done() and self._is_complete(data):
            self._done.set_result(None)

    def _is_complete(self, data: bytes) -> bool:
        if data.endswith(b"0\r\n\r\n"):
            return True
        head, found, body = self.received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE) if found else None
        return length is not None and len(body) >= int(length[1])

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


@contextmanager
def product(variables: dict[str, str], companies: int) -> Iterator[Place]:
    """product_api with a database and a lean gateway of its own; as many people, each of a company of their own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        postgres = EmbeddedPostgres(Path(folder) / "pg", durable=False)
        postgres.start()
        started: list[subprocess.Popen[bytes]] = []
        try:
            url, gateway_port, port = postgres.url("postgres"), free_port(), free_port()
            upgrade_to_head(url)
            lean = [sys.executable, str(Path(__file__).with_name("lean_gateway.py")), str(gateway_port)]
            started.append(subprocess.Popen(lean))
            settings = environ(url, f"http://127.0.0.1:{gateway_port}", PRODUCT_PORT=str(port), **variables)
            with (Path(folder) / "product.log").open("wb") as log:
                command = [sys.executable, "-m", "b2b_chat.cli", "product"]
                started.append(subprocess.Popen(command, env={**os.environ, **settings}, stdout=log))
            people = uvloop.run(peopled(url, companies))
            uvloop.run(until_healthy(f"http://127.0.0.1:{port}"))
            yield Place(f"http://127.0.0.1:{port}", people, started[-1], postgres.child.pid, url)
        finally:
            for each in started:
                each.terminate()
                each.wait(30)
            postgres.stop()


async def peopled(database_url: str, companies: int) -> list[Person]:
    """So many people, each of a company of their own."""
    async with open_world(database_url) as world:
        return [await world.person(balance="1000000") for _ in range(companies)]


@asynccontextmanager
async def connected(place: Place, count: int) -> AsyncIterator[list[Answer]]:
    """So many connections."""
    address = urlsplit(place.url)
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(Answer, address.hostname or "", address.port or 0))[1] for _ in range(count)
    ]
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()


def checked(answer: bytes, deltas: int) -> None:
    """See that an answer is complete and exact."""
    text = (PIECE * deltas).encode()
    assert answer.startswith(b"HTTP/1.1 200"), answer[:500]
    if b"data: [DONE]" in answer:
        assert b"".join(_CONTENT.findall(answer)) == text, "the chunks are not the text"
        return
    assert b'"text":"%b"' % text in answer or b'"content":"%b"' % text in answer, answer[-500:]
    if b"event: final" in answer:
        assert b"".join(_TEXT.findall(answer)) == text, "the deltas are not the text"


async def each_answered(
    place: Place, *, deltas: int, stream: bool, chats: int, at_once: int, text: str = ""
) -> dict[str, float]:
    """CPU for each of many short chats, whose questions begin with a text."""
    left = iter(range(chats))
    async with connected(place, at_once) as connections:

        async def work(number: int, connection: Answer) -> None:
            for _ in left:
                person = place.people[number % len(place.people)]
                asked = f"{text}deltas={deltas} gap=0 wait=0"
                checked(await connection.ask(person, asked, stream=stream, by_openai=place.by_openai), deltas)

        before, database_before = place.cpu_seconds(), place.database_cpu_seconds()
        started_at = time.perf_counter()
        await asyncio.gather(*(work(number, connection) for number, connection in enumerate(connections)))
        wall = time.perf_counter() - started_at
        return {
            "product_ms": (place.cpu_seconds() - before) * 1000 / chats,
            "postgres_ms": (place.database_cpu_seconds() - database_before) * 1000 / chats,
            "chats_per_second": chats / wall,
        }


async def paced(place: Place, *, streams: int, per_second: float, seconds: float) -> dict[str, float]:
    """CPU for each delta that comes alone, and memory for each stream, while so many are open."""
    gap, spread = 1 / per_second, streams / 250
    wait = spread + 1
    deltas = round((seconds + spread) * per_second)
    before_bytes = place.memory_bytes()
    async with connected(place, streams) as connections:

        async def one(number: int, connection: Answer) -> None:
            await asyncio.sleep(number * spread / streams)
            person = place.people[number % len(place.people)]
            text = f"deltas={deltas} gap={gap:.6f} wait={wait}"
            checked(await connection.ask(person, text, stream=True, by_openai=place.by_openai), deltas)

        asking = asyncio.gather(*(one(number, connection) for number, connection in enumerate(connections)))
        await asyncio.sleep(spread + wait + gap)
        before, started_at = place.cpu_seconds(), time.perf_counter()
        await asyncio.sleep(seconds * 0.8)
        cpu, wall = place.cpu_seconds() - before, time.perf_counter() - started_at
        kib = (place.memory_bytes() - before_bytes) / streams / 1024
        await asking
        late = sorted((connection.first_delta_seconds - wait) * 1000 for connection in connections)
    return {
        "product_us_per_delta": cpu * 1e6 / (wall * per_second * streams),
        "kib_per_stream": kib,
        "first_delta_p50_ms": late[len(late) // 2],
        "first_delta_p99_ms": late[int(len(late) * 0.99)],
    }


async def first_deltas(place: Place, *, chats: int) -> dict[str, float]:
    """How much later than at the gateway the first delta comes, for one client that is alone."""
    times = []
    async with connected(place, 1) as (connection,):
        for _ in range(chats):
            checked(await connection.ask(place.people[0], "deltas=5 gap=0.02 wait=0.01", stream=True), 5)
            times.append((connection.first_delta_seconds - 0.01) * 1000)
    times.sort()
    return {"first_delta_p50_ms": times[len(times) // 2], "first_delta_p99_ms": times[int(len(times) * 0.99)]}


Case = Callable[[Place], Awaitable[dict[str, float]]]
CASES: Final[dict[str, Case]] = {
    "whole": lambda place: each_answered(place, deltas=50, stream=False, chats=600, at_once=16),
    "streamed, 100 deltas together": lambda place: each_answered(place, deltas=100, stream=True, chats=400, at_once=16),
    "completions, whole": lambda place: each_answered(
        place._replace(by_openai=True), deltas=50, stream=False, chats=600, at_once=16
    ),
    "completions, 100 deltas together": lambda place: each_answered(
        place._replace(by_openai=True), deltas=100, stream=True, chats=400, at_once=16
    ),
    "completions, 200 streams of 20/s": lambda place: paced(
        place._replace(by_openai=True), streams=200, per_second=20, seconds=6
    ),
    "alone": lambda place: first_deltas(place, chats=100),
    "paced, 200 streams of 20/s": lambda place: paced(place, streams=200, per_second=20, seconds=6),
    "paced, 400 streams of 20/s": lambda place: paced(place, streams=400, per_second=20, seconds=6),
    "paced, 2000 streams of 2/s": lambda place: paced(place, streams=2000, per_second=2, seconds=8),
    "one company, 1 sender": lambda place: each_answered(
        place._replace(people=place.people[:1]), deltas=10, stream=False, chats=200, at_once=1
    ),
    "one company, 4 senders": lambda place: each_answered(
        place._replace(people=place.people[:1]), deltas=10, stream=False, chats=400, at_once=4
    ),
    "one company, 16 senders": lambda place: each_answered(
        place._replace(people=place.people[:1]), deltas=10, stream=False, chats=600, at_once=16
    ),
    "16 companies, 16 senders": lambda place: each_answered(place, deltas=10, stream=False, chats=600, at_once=16),
}


async def measure(place: Place, options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Every case that is asked for, so many times."""
    figures: dict[str, list[dict[str, float]]] = {}
    await each_answered(place, deltas=50, stream=False, chats=200, at_once=16)
    # In turn, since the machine's pace changes and cases are compared.
    for number in range(options.rounds):
        for name, case in CASES.items():
            if options.case and not any(word in name for word in options.case):
                continue
            print(f"\r{name}: round {number + 1} of {options.rounds} ", end="", file=sys.stderr, flush=True)
            figures.setdefault(name, []).append(await case(place))
        print(file=sys.stderr)
    return figures


def main() -> None:
    """Measure and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", action="append", help="only cases whose name has this in it")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of product_api")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with product(dict(pair.split("=", 1) for pair in options.set), companies=16) as place:
        figures = uvloop.run(measure(place, options))
    for name, rounds in figures.items():
        medians = {figure: statistics.median(each[figure] for each in rounds) for figure in rounds[0]}
        print(f"{name:32}" + "  ".join(f"{figure} {value:.2f}" for figure, value in medians.items()))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
