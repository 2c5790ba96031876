"""The whole path: product_api, gateway_api and PostgreSQL, beside pgbench running the same SQL alone."""

from typing import Final

from bench.load import Outcome
from bench.pgbench import Sql, captured_sql, pgbench
from bench.report import Table, middle
from bench.rounds import (
    TIMES,
    Bench,
    Subject,
    answers_per_second,
    cpu_ms_per_answer,
    exactness,
    failures,
    spread,
    times,
)
from bench.stack import COMPANIES, Services, running_stack

SENDERS: Final = 16
_SWEEP: Final = (1, 4, 16, 64)
_CASES: Final = {"whole answer": False, "100 deltas written separately": True}


def run(
    bench: Bench,
    *,
    rounds: int,
    seconds: float,
    companies: int = COMPANIES,
    sweep: tuple[int, ...] = _SWEEP,
) -> None:
    """Measure chats, and then their SQL alone on the same server."""
    with running_stack(bench.upstream, bench.folder / "stack", companies=companies) as services:
        subject = subject_of(services)
        for stream in (False, True):
            bench.closed(subject, stream=stream, senders=SENDERS, seconds=1)
        found = {name: _measure(bench, name, subject, rounds, seconds) for name in _CASES}
        _tell(bench, subject, found, rounds)
        curve = _sweep(bench, subject, sweep, seconds)
        _limit(bench, services, subject, found["whole answer"], curve, seconds)


def subject_of(services: Services, name: str = "product") -> Subject:
    """The whole path as a subject."""
    assert services.product is not None
    return Subject(name, services.product, services.families)


def _measure(bench: Bench, name: str, subject: Subject, rounds: int, seconds: float) -> list[Outcome]:
    outcomes = []
    for number in range(rounds):
        outcome = bench.closed(subject, stream=_CASES[name], senders=SENDERS, seconds=seconds)
        outcomes.append(outcome)
        costs = ", ".join(f"{part} {cpu_ms_per_answer(outcome, part):.2f}" for part in subject.families)
        bench.report.say(f"{name}, round {number + 1}/{rounds}: CPU ms per chat: {costs}")
    return outcomes


def _tell(bench: Bench, subject: Subject, found: dict[str, list[Outcome]], rounds: int) -> None:
    rows = []
    for name, outcomes in found.items():
        costs = [spread(outcomes, lambda o, part=part: cpu_ms_per_answer(o, part)) for part in subject.families]  # type: ignore[misc]
        rate = middle([answers_per_second(outcome) for outcome in outcomes])
        rows.append([name, *costs, f"{rate:.0f}", *times(outcomes), exactness(outcomes)])
        heights = {part: middle([cpu_ms_per_answer(o, part) for o in outcomes]) for part in subject.families}
        bench.report.bars(f"cpu-{name.split()[0]}", f"Whole path, {name}", "CPU ms per chat", heights)
    columns = ["CPU ms per chat", *subject.families, "chats/s", *TIMES, "exact"]
    note = f"{SENDERS} senders of as many companies. Median of {rounds} rounds (range)."
    told = [failures(outcomes) for outcomes in found.values() if failures(outcomes)]
    bench.report.add(Table("Product: the whole path", columns, rows, "; ".join([note, *told])))
    bench.report.figures |= found
    bench.report.distribution(
        "latency",
        "Whole path: time to the whole answer",
        {name: [time for o in outcomes for time in o.latency] for name, outcomes in found.items()},
    )


def _sweep(bench: Bench, subject: Subject, sweep: tuple[int, ...], seconds: float) -> list[tuple[float, float]]:
    points = []
    for senders in sweep:
        outcome = bench.closed(subject, stream=False, senders=senders, seconds=min(3.0, seconds))
        points.append((float(senders), answers_per_second(outcome)))
        bench.report.say(f"throughput with {senders} senders: {points[-1][1]:.0f} chats/s")
    return points


def _limit(
    bench: Bench,
    services: Services,
    subject: Subject,
    whole: list[Outcome],
    curve: list[tuple[float, float]],
    seconds: float,
) -> None:
    """The same SQL without anything around it."""
    assert services.database_url is not None
    sql: Sql = captured_sql(bench, services)
    bench.report.say(f"a chat is {len(sql.statements)} statements")
    senders = [round(number) for number, _ in curve]
    alone = [pgbench(services, sql, number, min(3.0, seconds), bench.folder) for number in senders]
    ours = middle([cpu_ms_per_answer(outcome, "postgres") for outcome in whole])
    rows = [
        ["chats/s", *(f"{rate:.0f}" for _, rate in curve), f"{ours:.2f}"],
        [
            "pgbench/s",
            *(f"{result.per_second:.0f}" for result in alone),
            f"{middle([result.postgres_cpu_ms for result in alone]):.2f}",
        ],
    ]
    columns = ["", *(f"{number} senders" for number in senders), "PostgreSQL CPU ms per chat"]
    note = f"{len(sql.statements)} statements a chat, durable commits; pgbench runs the same ones, prepared, alone."
    bench.report.add(Table("Product: throughput beside its SQL alone", columns, rows, note))
    bench.report.figures["throughput"] = {"chats": curve, "pgbench": alone, "statements": sql.statements}
    curves = {
        "chats": curve,
        "pgbench, the same SQL": [(float(n), r.per_second) for n, r in zip(senders, alone, strict=True)],
    }
    bench.report.lines("throughput", f"{subject.name}: whole answers", ("senders", "per second"), curves)
