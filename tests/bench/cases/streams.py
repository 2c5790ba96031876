"""Many paced streams open at once through the whole path, beside the upstream alone."""

from typing import Any, Final, NamedTuple

from bench.cases.product import subject_of
from bench.load import Outcome
from bench.report import Table, ms, quantile
from bench.rounds import Bench, cpu_us_per_delta, exactness, failures, first_delta
from bench.stack import COMPANIES, running_stack

OPENED_PER_SECOND: Final = 50
_SERVICES: Final = ("product", "gateway")
_FULL_LOAD: Final = 8000
_NOTE: Final = (
    "Memory is PSS, from idle to all streams open. First deltas are those of streams that begin while all others are "
    "open, or of all where there is one stream each."
)


class Paced(NamedTuple):
    """So many streams of so many deltas a second."""

    streams: int
    rate: float

    @property
    def name(self) -> str:
        """For a table."""
        return f"{self.streams} of {self.rate:g}/s"


SWEEP: Final = (
    *(Paced(streams, 20.0) for streams in (100, 200, 400)),
    Paced(2000, 2.0),
    *(Paced(streams, 20.0) for streams in (1000, 2000)),
)
"""The last ones are more than two cores carry: they show how it behaves then."""


def run(bench: Bench, *, sweep: tuple[Paced, ...] = SWEEP, seconds: float, companies: int = COMPANIES) -> None:
    """Measure each number of streams on services that were just started, so that memory is the streams'."""
    found: dict[str, dict[str, Outcome]] = {}
    rows = []
    for paced in sweep:
        bench.report.say(f"{paced.name} deltas: about {_takes_seconds(paced, seconds):.0f} s")
        through, alone = _measure(bench, paced, seconds, companies)
        found[paced.name] = {"through": through, "alone": alone}
        rows.append(_row(paced, through, alone))
        bench.report.say(" | ".join(rows[-1]))
    columns = [
        *("streams", "exact", "first p50 ms", "p99", "alone p50", "p99", "added p50", "added p99"),
        *("gap p50 ms", "p99", "deltas/s"),
        *(f"{part} us/delta" for part in (*_SERVICES, "postgres", "upstream")),
        *(f"{part} KiB/stream" for part in _SERVICES),
    ]
    told = [f"{name}: {failures([both['through']])}" for name, both in found.items() if both["through"].failures]
    note = "; ".join([_NOTE, *told])
    bench.report.add(Table("Streams: paced, all at once, through both services", columns, rows, note))
    bench.report.figures["streams"] = found
    _plot(bench, sweep, found)


def _takes_seconds(paced: Paced, seconds: float) -> float:
    ramp = paced.streams / OPENED_PER_SECOND
    return 15 + (5 if paced.streams * paced.rate <= _FULL_LOAD else 4) * (ramp + seconds)


def _measure(bench: Bench, paced: Paced, seconds: float, companies: int) -> tuple[Outcome, Outcome]:
    options: dict[str, Any] = {
        "rate": paced.rate,
        "streams": paced.streams,
        "opened_per_second": OPENED_PER_SECOND,
        "seconds": seconds,
    }
    alone = bench.paced(bench.direct(), **options)
    folder = bench.folder / f"stack-{paced.streams}-{paced.rate:g}"
    with running_stack(bench.upstream, folder, companies=companies) as services:
        subject = subject_of(services)
        bench.closed(subject, stream=True, senders=8, seconds=1)
        return bench.paced(subject, **options), alone


def kib_per_stream(outcome: Outcome, part: str) -> float:
    """Memory of a part for each open stream."""
    if not outcome.open_streams:
        return float("nan")
    return (outcome.memory[part]["pss"] - outcome.memory_before[part]["pss"]) / 1024 / outcome.open_streams


def _row(paced: Paced, through: Outcome, alone: Outcome) -> list[str]:
    firsts = [first_delta([outcome], share) for outcome in (through, alone) for share in (0.5, 0.99)]
    return [
        paced.name,
        exactness([through]),
        *map(ms, firsts),
        *(ms(firsts[place] - firsts[place + 2]) for place in (0, 1)),
        *(ms(quantile(through.gaps, share)) for share in (0.5, 0.99)),
        f"{through.window_deltas / through.window_seconds:.0f}",
        *(f"{cpu_us_per_delta(through, part):.0f}" for part in (*_SERVICES, "postgres", "upstream")),
        *(f"{kib_per_stream(through, part):.0f}" for part in _SERVICES),
    ]


def _plot(bench: Bench, sweep: tuple[Paced, ...], found: dict[str, dict[str, Outcome]]) -> None:
    paced = sorted(one for one in sweep if one.rate == sweep[0].rate)
    memory: dict[str, list[tuple[float, float]]] = {part: [] for part in _SERVICES}
    cost: dict[str, list[tuple[float, float]]] = {part: [] for part in _SERVICES}
    for one in paced:
        outcome = found[one.name]["through"]
        for part in _SERVICES:
            memory[part].append((outcome.open_streams, outcome.memory[part]["pss"] / 1024**2))
            cost[part].append((one.streams, cpu_us_per_delta(outcome, part)))
    bench.report.lines("memory", "Memory against open streams", ("open streams", "MiB (PSS)"), memory)
    bench.report.lines("cpu-per-delta", "CPU per delta", ("open streams", "CPU us per delta"), cost)
    bench.report.distribution(
        "first-delta",
        "Time to the first delta",
        {
            **{name: both["through"].first_delta for name, both in found.items()},
            f"upstream alone, {sweep[0].name}": found[sweep[0].name]["alone"].first_delta,
        },
    )
