"""Our gateway beside what a user could pick instead, on the same upstream, with the same bodies, in turn."""

from collections.abc import Callable, Collection
from contextlib import ExitStack
from typing import Final

from b2b_chat.sandbox.errors import SandboxError
from bench.dialects import Target
from bench.load import Outcome
from bench.peers import KINDS, Missing
from bench.report import Table, middle
from bench.rounds import (
    TIMES,
    Bench,
    Subject,
    answers_per_second,
    cpu_ms_per_answer,
    cpu_us_per_delta,
    exactness,
    failures,
    spread,
    times,
)
from bench.stack import running_gateway

OURS: Final = "b2b-chat"
SENDERS: Final = 16
PACED_STREAMS: Final = 200
PACED_RATE: Final = 20.0
_SWEEP: Final = (1, 4, 16, 64)
_WARM_SECONDS: Final = 2.0

Case = Callable[[Bench, Subject, float], Outcome]


def _ms_per_100_deltas(outcome: Outcome, part: str) -> float:
    return cpu_us_per_delta(outcome, part) / 10


CASES: Final[dict[str, tuple[Case, Callable[[Outcome, str], float], str]]] = {
    "whole answer": (
        lambda bench, subject, seconds: bench.closed(subject, stream=False, senders=SENDERS, seconds=seconds),
        cpu_ms_per_answer,
        "CPU ms per request",
    ),
    "100 deltas written separately": (
        lambda bench, subject, seconds: bench.closed(subject, stream=True, senders=SENDERS, seconds=seconds),
        _ms_per_100_deltas,
        "CPU ms per 100 deltas",
    ),
    f"{PACED_STREAMS} streams of {PACED_RATE:g} deltas/s": (
        lambda bench, subject, seconds: bench.paced(
            subject, rate=PACED_RATE, streams=PACED_STREAMS, opened_per_second=50, seconds=seconds
        ),
        cpu_us_per_delta,
        "CPU us per delta",
    ),
}


def run(
    bench: Bench, *, rounds: int, seconds: float, peers: bool = True, cases: Collection[str] = tuple(CASES)
) -> None:
    """Start everything, and measure each case in turn, round after round."""
    with ExitStack() as stack:
        subjects, versions = _started(bench, stack, peers=peers)
        bench.report.environment["versions"] = versions
        subjects = [subject for subject in subjects if _is_warm(bench, subject, min(_WARM_SECONDS, seconds))]
        for name in cases:
            _measure(bench, name, subjects, rounds, seconds)
        _sweep(bench, subjects, seconds)


def _started(bench: Bench, stack: ExitStack, *, peers: bool) -> tuple[list[Subject], dict[str, str]]:
    ours = stack.enter_context(running_gateway(bench.upstream, bench.folder))
    subjects = [_subject(bench, OURS, ours.gateway, ours.families["gateway"][0])]
    versions = {OURS: bench.report.environment["commit"]}
    for kind in KINDS if peers else ():
        bench.report.say(f"installing and starting {kind.name}")
        try:
            versions[kind.name] = kind.install()
            peer = stack.enter_context(kind.running(bench.upstream, bench.folder))
        except (Missing, SandboxError, TimeoutError) as error:
            versions[kind.name] = "missing"
            bench.report.say(f"LEFT OUT: {kind.name}: {error}")
            continue
        subjects.append(_subject(bench, kind.name, peer.target, peer.pid))
    bench.report.say("; ".join(f"{name} {version}" for name, version in versions.items()))
    return subjects, versions


def _subject(bench: Bench, name: str, target: Target, pid: int) -> Subject:
    return Subject(name, target, {name: [pid], "upstream": [bench.upstream.pid]})


def _is_warm(bench: Bench, subject: Subject, seconds: float) -> bool:
    """Whether it answers at all, once it has compiled and loaded what it does at its first calls."""
    for stream in (False, True):
        outcome = bench.closed(subject, stream=stream, senders=2, seconds=seconds)
        if not outcome.answered:
            bench.report.say(f"LEFT OUT: {subject.name} answers nothing: {failures([outcome])}")
            return False
    return True


def _measure(bench: Bench, name: str, subjects: list[Subject], rounds: int, seconds: float) -> None:
    case, figure, unit = CASES[name]
    found: dict[str, list[Outcome]] = {subject.name: [] for subject in subjects}
    for number in range(rounds):
        for subject in subjects[number % len(subjects) :] + subjects[: number % len(subjects)]:
            outcome = case(bench, subject, seconds)
            found[subject.name].append(outcome)
            cost = figure(outcome, subject.name)
            bench.report.say(f"{name}, round {number + 1}/{rounds}: {subject.name} {cost:.3f} {unit}")
    rows = [_row(who, outcomes, found[OURS], figure) for who, outcomes in found.items()]
    columns = ["", unit, "x ours", "of upstream", "answers/s", *TIMES, "exact"]
    troubles = [f"{who}: {told}" for who, outcomes in found.items() if (told := failures(outcomes))]
    note = "; ".join([f"Median of {rounds} rounds (range). Ratios are medians of each round's.", *troubles])
    bench.report.add(Table(f"Gateway: {name}", columns, rows, note))
    bench.report.figures[name] = found
    key = name.partition(" ")[0]
    heights = {who: middle([figure(outcome, who) for outcome in outcomes]) for who, outcomes in found.items()}
    bench.report.bars(f"cpu-{key}", f"Gateway, {name}", unit, heights, log=True)
    firsts = {who: [time for outcome in outcomes for time in outcome.first_delta] for who, outcomes in found.items()}
    bench.report.distribution(f"latency-{key}", f"Gateway, {name}: time to the first delta", firsts)


def _row(who: str, outcomes: list[Outcome], ours: list[Outcome], figure: Callable[[Outcome, str], float]) -> list[str]:
    ratios = [figure(outcome, who) / figure(own, OURS) for outcome, own in zip(outcomes, ours, strict=True)]
    return [
        who,
        spread(outcomes, lambda outcome: figure(outcome, who), 3),
        f"{middle(ratios):.2f}",
        f"{middle([figure(outcome, 'upstream') for outcome in outcomes]):.3f}",
        f"{middle([answers_per_second(outcome) for outcome in outcomes]):.0f}",
        *times(outcomes),
        exactness(outcomes),
    ]


def _sweep(bench: Bench, subjects: list[Subject], seconds: float) -> None:
    """Throughput against concurrency."""
    curves: dict[str, list[tuple[float, float]]] = {subject.name: [] for subject in subjects}
    for senders in _SWEEP:
        for subject in subjects:
            outcome = bench.closed(subject, stream=False, senders=senders, seconds=min(2.0, seconds))
            curves[subject.name].append((senders, answers_per_second(outcome)))
        bench.report.say(f"throughput with {senders} senders: done")
    rows = [[name, *(f"{rate:.0f}" for _, rate in points)] for name, points in curves.items()]
    columns = ["answers/s", *(f"{senders} senders" for senders in _SWEEP)]
    bench.report.add(Table("Gateway: throughput of whole answers", columns, rows, "One round."))
    bench.report.figures["throughput"] = curves
    bench.report.lines("throughput", "Gateway, whole answers", ("senders", "answers per second"), curves)
