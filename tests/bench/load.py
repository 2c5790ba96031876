"""The load generator: senders that ask one question after the other, in a process of their own.

    python -m bench.load

reads a `Load` as one line of JSON and answers with a line that is its `Outcome`, again and again.

Figures of CPU are those of a window in which all senders are at work: with `ramp_seconds` these begin one by one, so
that long streams are all open, and none begins or ends, while the window lasts.
"""

import asyncio
import gc
import sys
import time
import urllib.request
import uuid
from collections import Counter
from typing import Final

import msgspec
import uvloop

from bench.connection import Connection, Refused
from bench.dialects import Ask, Reader, Target, request_bytes
from bench.measure import cpu_seconds, load_average, memory_bytes
from bench.upstream import Sent

_SENT: Final = msgspec.json.Decoder(dict[str, list[Sent]])
_RECORD_SECONDS: Final = 60
_SHOWN_FAILURES: Final = 5
_KEPT_FIGURES: Final = 20_000


class Load(msgspec.Struct, kw_only=True, frozen=True):
    """What is asked of the load generator."""

    target: Target
    upstream_url: str
    stream: bool
    deltas: int
    rate: float = 0.0
    """Deltas per second of each stream; 0 is as fast as they are taken."""
    senders: int
    ramp_seconds: float = 0.0
    window_from_seconds: float = 0.3
    window_seconds: float
    questions: int = 0
    """Of each sender; 0 asks until the window ends."""
    limit_seconds: float
    """After so long what is still open is cut, and counted as such."""
    families: dict[str, list[int]] = {}
    """Processes whose CPU time is read."""
    remembering: list[str] = []
    """Of these parts the memory is read too."""


class Outcome(msgspec.Struct, kw_only=True):
    """What came of a load. Times are in seconds."""

    answered: int = 0
    failures: dict[str, int] = {}
    inexact: int = 0
    """Answers that ended well, but are not what the upstream says it sent."""
    window_seconds: float = 0.0
    window_answers: int = 0
    window_deltas: int = 0
    cpu: dict[str, float] = {}
    memory_before: dict[str, dict[str, int]] = {}
    memory: dict[str, dict[str, int]] = {}
    open_streams: int = 0
    """While the memory was read."""
    latency: list[float] = []
    first_delta: list[float] = []
    """From sending to the first delta, less what the upstream itself took."""
    gaps: list[float] = []
    load_average: float = 0.0

    @property
    def is_exact(self) -> bool:
        """Whether every answer came, and was what the upstream sent."""
        return not self.failures and not self.inexact


class _Run:
    """One load under way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._outcome = Outcome(failures={}, latency=[], first_delta=[], gaps=[])
        self._failures: Counter[str] = Counter()
        self._readers: dict[str, tuple[Reader, float, bool]] = {}
        self._open: dict[str, Reader] = {}
        self._ended_deltas = 0
        self._window_open = asyncio.Event()
        self._window_over = asyncio.Event()

    async def outcome(self) -> Outcome:
        load = self._load
        self._outcome.memory_before = memory_bytes(self._remembered())
        senders = [asyncio.create_task(self._send_all(number)) for number in range(load.senders)]
        window = asyncio.create_task(self._watch_window())
        _, late = await asyncio.wait([*senders, window], timeout=load.limit_seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for task in (window, *senders):
            if not task.cancelled():
                task.result()
        await asyncio.to_thread(self._compare)
        self._outcome.failures = dict(self._failures.most_common(_SHOWN_FAILURES))
        self._outcome.gaps = _thinned(self._outcome.gaps)
        self._outcome.load_average = load_average()
        return self._outcome

    async def _watch_window(self) -> None:
        load, outcome = self._load, self._outcome
        await asyncio.sleep(load.window_from_seconds)
        outcome.memory, outcome.open_streams = memory_bytes(self._remembered()), len(self._open)
        self._window_open.set()
        cpu, answers, deltas, begun_at = cpu_seconds(load.families), outcome.answered, self._deltas(), time.monotonic()
        await asyncio.sleep(load.window_seconds)
        self._window_over.set()
        outcome.window_seconds = time.monotonic() - begun_at
        outcome.cpu = {name: used - cpu[name] for name, used in cpu_seconds(load.families).items()}
        outcome.window_answers = outcome.answered - answers
        outcome.window_deltas = self._deltas() - deltas

    async def _send_all(self, sender: int) -> None:
        load = self._load
        await asyncio.sleep(load.ramp_seconds * sender / load.senders)
        connection: Connection | None = None
        asked = 0
        try:
            while asked < load.questions if load.questions else not self._window_over.is_set():
                if connection is None or not connection.is_open:
                    connection = await Connection.open(load.target.url)
                await self._ask(connection, sender)
                asked += 1
        except OSError as error:
            self._failures[f"cannot connect: {error}"] += 1
        finally:
            if connection is not None:
                connection.close()

    async def _ask(self, connection: Connection, sender: int) -> None:
        load = self._load
        ask = Ask(str(uuid.uuid4()), load.deltas, load.rate, load.stream)
        request = request_bytes(load.target, ask, sender)
        reader = Reader(load.target, ask)
        self._open[ask.key] = reader
        asked_in_window = self._window_open.is_set()
        started_at = time.monotonic()
        try:
            await connection.exchange(request, reader.feed)
            reader.end()
        except (ConnectionError, Refused, msgspec.MsgspecError) as error:
            connection.close()
            reader.failure = str(error)
        except asyncio.CancelledError:
            reader.failure = "cut by the time limit"
            raise
        finally:
            del self._open[ask.key]
            self._ended_deltas += reader.deltas
            if not reader.failure and not reader.is_whole:
                reader.failure = "the stream ended without its end"
            if reader.failure:
                self._failures[reader.failure] += 1
            else:
                self._outcome.answered += 1
                self._readers[ask.key] = (reader, started_at, asked_in_window)
                self._outcome.latency.append(time.monotonic() - started_at)
            self._outcome.gaps += reader.gaps

    def _compare(self) -> None:
        """Hold every answer against what the upstream says it sent."""
        record = f"{self._load.upstream_url}/sent"
        with urllib.request.urlopen(record, timeout=_RECORD_SECONDS) as response:  # noqa: S310 - our own upstream
            sent = _SENT.decode(response.read())
        # Where questions are asked in the window, those before it met an emptier server.
        counts_all = not any(in_window for _, _, in_window in self._readers.values())
        for key, (reader, started_at, in_window) in self._readers.items():
            attempts = sent.get(key, [])
            match = next((one for one in attempts if one.is_whole and one.crc32 == reader.crc32), None)
            if match is None or match.deltas != reader.deltas:
                self._outcome.inexact += 1
            elif in_window or counts_all:
                upstream_seconds = match.first_at - attempts[0].received_at
                self._outcome.first_delta.append(reader.first_at - started_at - upstream_seconds)

    def _deltas(self) -> int:
        return self._ended_deltas + sum(reader.deltas for reader in self._open.values())

    def _remembered(self) -> dict[str, list[int]]:
        return {name: self._load.families[name] for name in self._load.remembering}


def _thinned(figures: list[float]) -> list[float]:
    """Evenly spread ones of the sorted figures, the greatest among them."""
    figures.sort()
    if len(figures) <= _KEPT_FIGURES:
        return figures
    step = (len(figures) - 1) / (_KEPT_FIGURES - 1)
    return [figures[round(place * step)] for place in range(_KEPT_FIGURES)]


async def _run(load: Load) -> Outcome:
    return await _Run(load).outcome()


def main() -> None:
    """Take loads from stdin until it is closed."""
    read = msgspec.json.Decoder(Load)
    for line in sys.stdin.buffer:
        gc.collect()
        gc.freeze()  # a full collection under load would be measured as a request's latency
        outcome = uvloop.run(_run(read.decode(line)))
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
