"""How the cost of a chat goes with workers and with companies."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from b2b_chat.sandbox.errors import SandboxError
from b2b_chat.sandbox.valkey import EmbeddedValkey
from bench.cases.product import subject_of
from bench.load import Outcome
from bench.measure import memory_bytes
from bench.report import Table, middle
from bench.rounds import (
    TIMES,
    Bench,
    Subject,
    answers_per_second,
    cpu_ms_per_answer,
    exactness,
    failures,
    times,
)
from bench.stack import running_stack

_WORKERS: Final = (1, 2)
_COMPANIES: Final = (1, 4, 32)
_SENDERS: Final = 16
_SERVICES: Final = ("product", "gateway")
_PARTS: Final = (*_SERVICES, "postgres", "valkey")
_YOUNG_SECONDS: Final = 60


def run(bench: Bench, *, rounds: int, seconds: float) -> None:
    """Measure chats with one worker each and with more, of one company and of more."""
    rows: list[list[str]] = []
    told = [f"Whole answers, {_SENDERS} senders, median of {rounds} rounds. More than one worker share a Valkey."]
    for workers in _WORKERS:
        try:
            found, memory = _measure(bench, workers, rounds, seconds)
        except (RuntimeError, SandboxError) as error:
            bench.report.say(f"LEFT OUT: {workers} workers: {error}")
            told.append(f"Left out: {workers} workers.")
            continue
        rows += [_row(f"{workers}, {companies}", outcomes, memory) for companies, outcomes in found.items()]
        told += [f"{workers} workers: {line}" for outcomes in found.values() if (line := failures(outcomes))]
        bench.report.figures[f"{workers} workers"] = found
    columns = [
        *("workers, companies", "chats/s"),
        *(f"{part} CPU ms" for part in _PARTS),
        *(f"{part} idle MiB" for part in _SERVICES),
        *(*TIMES, "exact"),
    ]
    bench.report.add(Table("Growth: workers and companies", columns, rows, " ".join(told)))


def _row(name: str, outcomes: list[Outcome], memory: dict[str, dict[str, int]]) -> list[str]:
    costs = [
        f"{middle([cpu_ms_per_answer(outcome, part) for outcome in outcomes]):.2f}" if part in outcomes[0].cpu else "-"
        for part in _PARTS
    ]
    rate = f"{middle([answers_per_second(outcome) for outcome in outcomes]):.0f}"
    idle = [f"{memory[part]['pss'] / 1024**2:.0f}" for part in _SERVICES]
    return [name, rate, *costs, *idle, *times(outcomes), exactness(outcomes)]


def _measure(
    bench: Bench, workers: int, rounds: int, seconds: float
) -> tuple[dict[int, list[Outcome]], dict[str, dict[str, int]]]:
    folder = bench.folder / f"stack-{workers}"
    found: dict[int, list[Outcome]] = {companies: [] for companies in _COMPANIES}
    with (
        _shared_state(workers, bench.folder) as (settings, families),
        running_stack(bench.upstream, folder, settings=settings) as services,
    ):
        every = subject_of(services)
        every = every._replace(families={**every.families, **families})
        _wait_until_answering(bench, every)
        memory = memory_bytes(services.families)
        bench.closed(every, stream=False, senders=_SENDERS, seconds=1)
        for number in range(rounds):
            for companies in _COMPANIES:
                keys = every.target.credentials[:companies]
                subject = every._replace(target=msgspec.structs.replace(every.target, credentials=keys))
                found[companies].append(bench.closed(subject, stream=False, senders=_SENDERS, seconds=seconds))
            bench.report.say(f"{workers} workers: round {number + 1}/{rounds} done")
    return found, memory


def _wait_until_answering(bench: Bench, subject: Subject) -> None:
    """The gateway refuses calls until a Valkey that has just started is older than any call may be."""
    deadline = time.monotonic() + _YOUNG_SECONDS
    while True:
        try:
            bench.once(subject)
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


@contextmanager
def _shared_state(workers: int, folder: Path) -> Iterator[tuple[dict[str, str], dict[str, list[int]]]]:
    """The settings for so many workers, and the process of the Valkey that they share where they are several."""
    if workers == 1:
        yield {}, {}
        return
    valkey = EmbeddedValkey(folder / "valkey")
    valkey.start()
    try:
        settings = {"WORKERS": str(workers), "VALKEY_URL": valkey.url, "GATEWAY_CLOCK_SKEW_SECONDS": "5"}
        yield settings, {"valkey": [valkey.child.pid]}
    finally:
        valkey.stop()
