"""`just bench WHAT`: figures, not assertions. Benchmarks report their progress and write to `tests/bench/results`."""

import shutil
from collections.abc import Callable

import click

from bench.cases import compare as comparing
from bench.cases import gateway as gateways
from bench.cases import growth as growing
from bench.cases import hot_company as hot_companies
from bench.cases import latency as latencies
from bench.cases import masking as maskings
from bench.cases import product as products
from bench.cases import streams as paced_streams
from bench.page import refresh
from bench.report import RESULTS, Report
from bench.rounds import Bench, prepared


def _bench(what: str, run: Callable[[Bench], None]) -> None:
    """Run one benchmark; what it found is written down even where it did not come to its end."""
    report = Report(what)
    try:
        with prepared(report) as bench:
            run(bench)
    finally:
        report.save()


_rounds = click.option("--rounds", default=5, show_default=True, help="Rounds; figures are their medians.")
_seconds = click.option("--seconds", default=3.0, show_default=True, help="Measured seconds of each load.")


@click.group()
def main() -> None:
    """Measure b2b-chat. Times are for five rounds."""


@main.command()
@click.option("--peers/--no-peers", default=True, help="Whether to measure nginx, Portkey and LiteLLM too.")
@_rounds
@_seconds
def gateway(*, peers: bool, rounds: int, seconds: float) -> None:
    """gateway_api beside nginx, Portkey and LiteLLM (12 min)."""
    _bench("gateway", lambda bench: gateways.run(bench, rounds=rounds, seconds=seconds, peers=peers))


@main.command()
@_rounds
@_seconds
def product(rounds: int, seconds: float) -> None:
    """The whole path beside its SQL alone in pgbench (2 min)."""
    _bench("product", lambda bench: products.run(bench, rounds=rounds, seconds=seconds))


@main.command()
@click.argument("streams", type=click.IntRange(1, 20_000), required=False)
@click.argument("rate", default=20.0)
@_seconds
def streams(streams: int | None, rate: float, seconds: float) -> None:
    """STREAMS paced streams of RATE deltas/s at once (2 min); without a number 100 to 2,000 (12 min)."""
    sweep = (paced_streams.Paced(streams, rate),) if streams else paced_streams.SWEEP
    _bench("streams", lambda bench: paced_streams.run(bench, sweep=sweep, seconds=seconds))


@main.command()
@_rounds
@_seconds
def latency(rounds: int, seconds: float) -> None:
    """What both services add to the first delta, one client (1 min)."""
    _bench("latency", lambda bench: latencies.run(bench, rounds=rounds, seconds=seconds))


@main.command("hot-company")
@_rounds
@_seconds
def hot_company(rounds: int, seconds: float) -> None:
    """1, 4 and 16 senders of one company (3 min)."""
    _bench("hot-company", lambda bench: hot_companies.run(bench, rounds=rounds, seconds=seconds))


@main.command()
@_rounds
@_seconds
def growth(rounds: int, seconds: float) -> None:
    """Chats with one and two workers, of one company and of many (2 min)."""
    _bench("growth", lambda bench: growing.run(bench, rounds=rounds, seconds=seconds))


@main.command()
@_rounds
def masking(rounds: int) -> None:
    """What masking adds to a chat and to a delta (1 min)."""
    _bench("masking", lambda bench: maskings.run(bench, rounds=rounds))


@main.command()
@click.argument("base")
@_rounds
@_seconds
def compare(base: str, rounds: int, seconds: float) -> None:
    """This checkout beside the commit BASE: what a change did (5 min)."""
    _bench("compare", lambda bench: comparing.run(bench, base=base, rounds=rounds, seconds=seconds))


@main.command("all")
@_rounds
@_seconds
@click.pass_context
def everything(context: click.Context, rounds: int, seconds: float) -> None:
    """All but `compare`, and then the page (35 min)."""
    for command in (latency, product, masking, hot_company, growth, streams, gateway):
        options = {"seconds": seconds} if command is streams else {"rounds": rounds, "seconds": seconds}
        if command is masking:
            del options["seconds"]
        try:
            context.invoke(command, **options)
        except Exception as error:  # noqa: BLE001 - whatever ends one benchmark, the others have their figures
            click.echo(f"FAILED: {command.name}: {error}")
    refresh(RESULTS)


@main.command()
def page() -> None:
    """Put the latest figures into deploy/GROWTH.md."""
    refresh(RESULTS)


@main.command()
def clear() -> None:
    """Delete all results."""
    shutil.rmtree(RESULTS, ignore_errors=True)


if __name__ == "__main__":
    main()
