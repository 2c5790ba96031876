"""Many senders of one company: its account is one row, which every chat locks twice."""

from typing import Final

import msgspec

from bench.cases.product import subject_of
from bench.load import Outcome
from bench.pgbench import Alone, captured_sql, pgbench
from bench.report import Table, middle
from bench.rounds import (
    TIMES,
    Bench,
    answers_per_second,
    cpu_ms_per_answer,
    exactness,
    spread,
    times,
)
from bench.stack import running_stack

_SENDERS: Final = (1, 4, 16)


def run(bench: Bench, *, rounds: int, seconds: float) -> None:
    """Measure so many senders of one company, and as many of as many companies, in turn."""
    with running_stack(bench.upstream, bench.folder / "stack") as services:
        many = subject_of(services)
        one_key = msgspec.structs.replace(many.target, credentials=many.target.credentials[:1])
        one = many._replace(target=one_key)
        subjects = {"one company": one, "a company each": many}
        for subject in subjects.values():
            bench.closed(subject, stream=False, senders=4, seconds=1)
        found: dict[str, list[Outcome]] = {}
        for number in range(rounds):
            for senders in _SENDERS:
                for name, subject in subjects.items():
                    outcome = bench.closed(subject, stream=False, senders=senders, seconds=seconds)
                    found.setdefault(f"{senders}, {name}", []).append(outcome)
            bench.report.say(f"hot company: round {number + 1}/{rounds} done")
        sql = {
            "one company": captured_sql(bench, services, companies=1),
            "a company each": captured_sql(bench, services),
        }
        alone = {
            f"{senders}, {name}": pgbench(services, sql[name], senders, seconds, bench.folder)
            for senders in _SENDERS
            for name in subjects
        }
    _tell(bench, found, alone, rounds)


def _tell(bench: Bench, found: dict[str, list[Outcome]], alone: dict[str, Alone], rounds: int) -> None:
    rows = []
    for name, outcomes in found.items():
        postgres = middle([cpu_ms_per_answer(outcome, "postgres") for outcome in outcomes])
        rows.append(
            [
                name,
                spread(outcomes, answers_per_second, 0),
                *times(outcomes),
                f"{postgres:.2f}",
                f"{alone[name].per_second:.0f}",
                exactness(outcomes),
            ]
        )
    columns = ["senders", "chats/s", *TIMES, "PostgreSQL CPU ms", "pgbench/s", "exact"]
    note = f"Whole answers, median of {rounds} rounds (range); pgbench runs the same SQL alone, one round."
    bench.report.add(Table("Hot company: senders of one company", columns, rows, note))
    bench.report.figures["hot_company"] = {"chats": found, "pgbench": alone}
    curves: dict[str, list[tuple[float, float]]] = {}
    for name, outcomes in found.items():
        senders, _, whose = name.partition(", ")
        rate = middle([answers_per_second(outcome) for outcome in outcomes])
        curves.setdefault(whose, []).append((float(senders), rate))
        curves.setdefault(f"{whose}, SQL alone", []).append((float(senders), alone[name].per_second))
    bench.report.lines("throughput", "Senders of one company", ("senders", "chats per second"), curves)
