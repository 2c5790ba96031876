"""The kinds of load that all benchmarks put on things, and what is taken from their outcomes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench.dialects import Target
from bench.load import Load, Outcome
from bench.loader import Loader, Upstream, bench_folder, running_loader, running_upstream
from bench.report import Report, middle, ms, quantile

DELTAS: Final = 100
"""Of an answer that is not paced."""
_DRAIN_SECONDS: Final = 30
_MARGIN_SECONDS: Final = 0.5
_MAX_REPEATED_RATE: Final = 8000


class Bench(NamedTuple):
    """What every benchmark needs."""

    report: Report
    folder: Path
    upstream: Upstream
    loader: Loader

    def direct(self) -> "Subject":
        """The upstream alone, with nothing before it."""
        target = Target("openai", self.upstream.url, ["sk-bench-0123456789abcdef"])
        return Subject("upstream alone", target, {"upstream": [self.upstream.pid]})

    def closed(
        self, subject: "Subject", *, stream: bool, senders: int, seconds: float, deltas: int = DELTAS
    ) -> Outcome:
        """So many senders, each asking again as soon as it has its answer."""
        load = Load(
            target=subject.target,
            upstream_url=self.upstream.url,
            stream=stream,
            deltas=deltas,
            senders=senders,
            window_seconds=seconds,
            limit_seconds=seconds + _DRAIN_SECONDS,
            families=subject.families,
        )
        return self.loader.run(load)

    def once(self, subject: "Subject") -> None:
        """One streamed answer.

        Raises:
            RuntimeError: It failed.
        """
        load = Load(
            target=subject.target,
            upstream_url=self.upstream.url,
            stream=True,
            deltas=3,
            senders=1,
            questions=1,
            window_from_seconds=0,
            window_seconds=0,
            limit_seconds=_DRAIN_SECONDS,
        )
        if not (outcome := self.loader.run(load)).is_exact:
            raise RuntimeError(f"a chat failed: {outcome.failures}")

    def paced(
        self, subject: "Subject", *, rate: float, streams: int, opened_per_second: float, seconds: float
    ) -> Outcome:
        """So many open streams of so many deltas a second.

        Each is followed by a second one, which begins while all others are open, as long as that many can be followed.
        """
        ramp_seconds = streams / opened_per_second
        life_seconds = ramp_seconds + seconds + 2 * _MARGIN_SECONDS
        questions = 2 if streams * rate <= _MAX_REPEATED_RATE else 1
        load = Load(
            target=subject.target,
            upstream_url=self.upstream.url,
            stream=True,
            deltas=round(rate * life_seconds) + 1,
            rate=rate,
            senders=streams,
            ramp_seconds=ramp_seconds,
            window_from_seconds=ramp_seconds + _MARGIN_SECONDS,
            window_seconds=seconds,
            questions=questions,
            limit_seconds=ramp_seconds + questions * life_seconds + _DRAIN_SECONDS,
            families=subject.families,
            remembering=[name for name in subject.families if name in {"product", "gateway", subject.name}],
        )
        return self.loader.run(load)


class Subject(NamedTuple):
    """What a load is put on, and the processes whose cost counts."""

    name: str
    target: Target
    families: dict[str, list[int]]


@contextmanager
def prepared(report: Report) -> Iterator[Bench]:
    """The upstream and the load generator, each in a process of its own."""
    with bench_folder() as folder, running_upstream(folder) as upstream, running_loader(folder) as loader:
        yield Bench(report, folder, upstream, loader)


def cpu_ms_per_answer(outcome: Outcome, part: str) -> float:
    """CPU milliseconds of a part for each answer."""
    return 1000 * outcome.cpu[part] / outcome.window_answers if outcome.window_answers else float("nan")


def cpu_us_per_delta(outcome: Outcome, part: str) -> float:
    """CPU microseconds of a part for each delta of the upstream's."""
    return 1e6 * outcome.cpu[part] / outcome.window_deltas if outcome.window_deltas else float("nan")


def answers_per_second(outcome: Outcome) -> float:
    """How many answers came to their end each second."""
    return outcome.window_answers / outcome.window_seconds


def spread(outcomes: list[Outcome], figure: Callable[[Outcome], float], digits: int = 2) -> str:
    """The median of the rounds, and their range."""
    found = [figure(outcome) for outcome in outcomes]
    return f"{middle(found):.{digits}f} ({min(found):.{digits}f}-{max(found):.{digits}f})"


def exactness(outcomes: list[Outcome]) -> str:
    """How many answers are complete and what the upstream says it sent."""
    answered = sum(outcome.answered for outcome in outcomes)
    failed = sum(sum(outcome.failures.values()) for outcome in outcomes)
    exact = answered - sum(outcome.inexact for outcome in outcomes)
    return f"{exact}/{answered + failed}"


def first_delta(outcomes: list[Outcome], share: float) -> float:
    """Seconds to the first delta that so large a share of the answers kept within."""
    return quantile([time for outcome in outcomes for time in outcome.first_delta], share)


def latency(outcomes: list[Outcome], share: float) -> float:
    """Seconds to the whole answer."""
    return quantile([time for outcome in outcomes for time in outcome.latency], share)


def failures(outcomes: list[Outcome]) -> str:
    """What went wrong, in a line."""
    found = {text: count for outcome in outcomes for text, count in outcome.failures.items()}
    return "; ".join(f"{count} x {text}" for text, count in found.items())


def times(outcomes: list[Outcome]) -> list[str]:
    """p50 and p99 of the first delta, and of the whole answer, in ms."""
    return [ms(figure(outcomes, share)) for figure in (first_delta, latency) for share in (0.5, 0.99)]


TIMES: Final = ["first p50 ms", "p99", "whole p50 ms", "p99"]
"""Columns of `times`."""
