"""What both services add to the first delta of one client on an idle machine."""

from typing import Final

from bench.cases.product import subject_of
from bench.load import Outcome
from bench.report import Table, ms
from bench.rounds import Bench, exactness, failures, first_delta
from bench.stack import running_stack

_DELTAS: Final = 10
_SHARES: Final = (0.5, 0.9, 0.99)


def run(bench: Bench, *, rounds: int, seconds: float) -> None:
    """Ask the upstream alone, the gateway alone and the whole path in turn, one question at a time."""
    with running_stack(bench.upstream, bench.folder / "stack") as services:
        whole = subject_of(services, "whole path")
        subjects = [bench.direct(), whole._replace(name="gateway", target=services.gateway), whole]
        found: dict[str, list[Outcome]] = {subject.name: [] for subject in subjects}
        for subject in subjects:
            bench.closed(subject, stream=True, senders=1, seconds=1, deltas=_DELTAS)
        for number in range(rounds):
            for subject in subjects:
                found[subject.name].append(
                    bench.closed(subject, stream=True, senders=1, seconds=seconds, deltas=_DELTAS)
                )
            progress = ", ".join(f"{name} p50 {ms(first_delta(found[name][-1:], 0.5))} ms" for name in found)
            bench.report.say(f"first delta, round {number + 1}/{rounds}: {progress}")
    alone = {share: first_delta(found["upstream alone"], share) for share in _SHARES}
    rows = []
    for name, outcomes in found.items():
        firsts = [first_delta(outcomes, share) for share in _SHARES]
        added = [first - alone[share] for first, share in zip(firsts, _SHARES, strict=True)]
        rows.append([name, *map(ms, firsts), *map(ms, added), exactness(outcomes)])
    columns = ["first delta, ms", "p50", "p90", "p99", "added p50", "added p90", "added p99", "exact"]
    told = [failures(outcomes) for outcomes in found.values() if failures(outcomes)]
    note = "; ".join([f"One client, {rounds} rounds in turn, all answers together.", *told])
    bench.report.add(Table("Latency: what is added to the first delta", columns, rows, note))
    bench.report.figures["latency"] = found
    bench.report.distribution(
        "first-delta",
        "Time to the first delta, one client",
        {name: [time for o in outcomes for time in o.first_delta] for name, outcomes in found.items()},
    )
