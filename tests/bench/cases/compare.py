"""What a change did: this checkout beside another commit, in one run, round by round in turn."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from bench.load import Outcome
from bench.report import Table, commit
from bench.rounds import Bench, Subject, answers_per_second, cpu_ms_per_answer, cpu_us_per_delta, failures
from bench.stack import Services, running_stack

_ROOT: Final = Path(__file__).parents[3]
_SENDERS: Final = 16
_PACED_STREAMS: Final = 100
_INSTALL_SECONDS: Final = 600

Figure = Callable[[Outcome, str], float]


class Case(NamedTuple):
    """A load, and what is compared of it."""

    name: str
    door: str
    parts: tuple[str, ...]
    load: Callable[[Bench, Subject, float], Outcome]
    figure: Figure


def _closed(*, stream: bool) -> Callable[[Bench, Subject, float], Outcome]:
    return lambda bench, subject, seconds: bench.closed(subject, stream=stream, senders=_SENDERS, seconds=seconds)


def _paced(bench: Bench, subject: Subject, seconds: float) -> Outcome:
    return bench.paced(subject, rate=20, streams=_PACED_STREAMS, opened_per_second=50, seconds=seconds)


_ALL: Final = ("product", "gateway", "postgres")
CASES: Final = (
    Case("gateway, whole answer, ms", "gateway", ("gateway",), _closed(stream=False), cpu_ms_per_answer),
    Case("gateway, 100 deltas, ms", "gateway", ("gateway",), _closed(stream=True), cpu_ms_per_answer),
    Case("chat, whole answer, ms", "product", _ALL, _closed(stream=False), cpu_ms_per_answer),
    Case("chat, 100 deltas, ms", "product", _ALL, _closed(stream=True), cpu_ms_per_answer),
    Case("chat, paced delta, us", "product", _ALL, _paced, cpu_us_per_delta),
)


def run(bench: Bench, *, base: str, rounds: int, seconds: float) -> None:
    """Measure both in turn; the order alternates from round to round."""
    with checked_out(base, bench.folder) as folder:
        bench.report.environment["versions"] = {"base": commit(folder), "this": commit(_ROOT)}
        bench.report.say(f"comparing {commit(_ROOT)} with {base} ({commit(folder)})")
        with (
            running_stack(bench.upstream, bench.folder / "this") as ours,
            running_stack(bench.upstream, bench.folder / "that", python=str(folder / ".venv/bin/python")) as theirs,
        ):
            sides = {"this": ours, "base": theirs}
            found: dict[str, dict[str, list[Outcome]]] = {}
            for case in CASES:
                found[case.name] = _measure(bench, case, sides, rounds, seconds)
    _tell(bench, found, base, rounds)


@contextmanager
def checked_out(base: str, folder: Path) -> Iterator[Path]:
    """A worktree of that commit with an environment of its own.

    Raises:
        RuntimeError: There is no such commit, or it cannot be installed.
    """
    tree = folder / "base"
    _run(["git", "-C", str(_ROOT), "worktree", "add", "--detach", str(tree), base])
    try:
        _run(["uv", "sync", "--frozen", "--no-dev", "--extra", "sandbox", "--project", str(tree)])
        yield tree
    finally:
        subprocess.run(["git", "-C", str(_ROOT), "worktree", "remove", "--force", str(tree)], check=False)


def _run(command: list[str]) -> None:
    # The caller's proxies and certificates are needed to install, but not the environment that runs us.
    environ = {
        name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT"}
    }
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS, env=environ)
    if done.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}` failed: {done.stderr.strip()[-500:]}")


def _subject(services: Services, door: str) -> Subject:
    target = services.gateway if door == "gateway" else services.product
    assert target is not None
    return Subject(door, target, services.families)


def _measure(
    bench: Bench, case: Case, sides: dict[str, Services], rounds: int, seconds: float
) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = {side: [] for side in sides}
    for services in sides.values():
        bench.closed(_subject(services, case.door), stream=False, senders=_SENDERS, seconds=1)
    for number in range(rounds):
        for side in list(sides)[:: -1 if number % 2 else 1]:
            found[side].append(case.load(bench, _subject(sides[side], case.door), seconds))
        told = ", ".join(f"{side} {case.figure(found[side][-1], case.parts[0]):.3f}" for side in sides)
        bench.report.say(f"{case.name}, round {number + 1}/{rounds}: {told}")
    return found


def _tell(bench: Bench, found: dict[str, dict[str, list[Outcome]]], base: str, rounds: int) -> None:
    rows = []
    for case in CASES:
        sides = found[case.name]
        for part in case.parts:
            ours, theirs = ([case.figure(outcome, part) for outcome in sides[side]] for side in ("this", "base"))
            rows.append([f"{case.name}: {part}", f"{median(theirs):.3f}", f"{median(ours):.3f}", *_ratio(ours, theirs)])
        ours, theirs = ([answers_per_second(outcome) for outcome in sides[side]] for side in ("this", "base"))
        rows.append([f"{case.name}: answers/s", f"{median(theirs):.0f}", f"{median(ours):.0f}", *_ratio(ours, theirs)])
    told = [f"{side}: {failures(outcomes)}" for sides in found.values() for side, outcomes in sides.items()]
    note = "; ".join(
        [
            f"CPU. Median of {rounds} rounds in turn; the ratio is the median of each round's (range).",
            *(line for line in told if not line.endswith(": ")),
        ]
    )
    bench.report.add(Table(f"This checkout beside {base}", ["", "base", "this", "this/base", "range"], rows, note))
    bench.report.figures["compare"] = found


def _ratio(ours: list[float], theirs: list[float]) -> list[str]:
    ratios = [one / other for one, other in zip(ours, theirs, strict=True) if other]
    return [f"{median(ratios):.3f}", f"{min(ratios):.2f}-{max(ratios):.2f}"] if ratios else ["-", "-"]
