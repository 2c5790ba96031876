"""The benchmarks themselves, with tiny figures: they run to their end, and notice what is wrong. No time is judged."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.cases import gateway, product, streams
from bench.dialects import Target
from bench.load import Load
from bench.loader import bench_folder, running_loader, running_upstream
from bench.page import refresh
from bench.report import Report
from bench.rounds import Bench, Subject, prepared

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="CPU and memory are read from Linux' /proc")

SECONDS = 0.2


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with prepared(Report("smoke", tmp_path)) as bench:
        yield bench


def figures_of(bench: Bench) -> Any:
    bench.report.save()
    return json.loads((bench.report.folder / "results.json").read_text())["figures"]


def is_exact(outcome: dict[str, Any]) -> bool:
    return outcome["answered"] > 0 and not outcome["failures"] and not outcome["inexact"]


def test_gateway(bench: Bench, tmp_path: Path) -> None:
    case = "100 deltas written separately"
    gateway.run(bench, rounds=1, seconds=SECONDS, peers=False, cases=[case])
    (outcome,) = figures_of(bench)[case][gateway.OURS]
    assert is_exact(outcome)
    assert outcome["cpu"][gateway.OURS] > 0
    assert outcome["cpu"]["upstream"] > 0
    page = tmp_path / "page.md"
    page.write_text("Before\n<!-- figures: smoke -->\nold\n<!-- end -->\n<!-- figures: none -->\nkept\n<!-- end -->\n")
    refresh(tmp_path, page)
    assert f"Gateway: {case}" in page.read_text()
    assert "old" not in page.read_text()
    assert "kept" in page.read_text()


def test_product(bench: Bench) -> None:
    product.run(bench, rounds=1, seconds=SECONDS, companies=2, sweep=(2,))
    figures = figures_of(bench)
    assert all(
        is_exact(outcome) for case in ("whole answer", "100 deltas written separately") for outcome in figures[case]
    )
    assert all(cost > 0 for cost in figures["whole answer"][0]["cpu"].values())
    assert len(figures["throughput"]["statements"]) > 1
    assert all(per_second > 0 for per_second, _ in figures["throughput"]["pgbench"])


def test_streams(bench: Bench) -> None:
    paced = streams.Paced(4, 20)
    streams.run(bench, sweep=(paced,), seconds=SECONDS, companies=2)
    for outcome in figures_of(bench)["streams"][paced.name].values():
        assert is_exact(outcome)
        assert outcome["answered"] == 2 * paced.streams  # each is followed by a second one
        assert outcome["open_streams"] == paced.streams


def test_a_changed_answer_is_counted() -> None:
    with bench_folder() as folder, running_upstream(folder) as upstream, running_loader(folder) as loader:
        (folder / "other").mkdir()
        with running_upstream(folder / "other") as other:
            bench = Bench(Report("smoke", folder), folder, upstream, loader)
            known = bench.closed(bench.direct(), stream=True, senders=2, seconds=SECONDS)
            assert known.is_exact
            # The other upstream's record says that it sent none of this.
            stranger = bench._replace(upstream=other).closed(bench.direct(), stream=True, senders=2, seconds=SECONDS)
            assert stranger.inexact == stranger.answered > 0
            assert not stranger.is_exact


def test_failures_are_counted(bench: Bench) -> None:
    wrong_dialect = Subject("upstream", Target("product", bench.upstream.url, ["key"]), {})
    assert not bench.closed(wrong_dialect, stream=True, senders=2, seconds=SECONDS).is_exact
    nobody = Load(
        target=Target("openai", "http://127.0.0.1:9", ["key"]),
        upstream_url=bench.upstream.url,
        stream=True,
        deltas=3,
        senders=2,
        window_seconds=SECONDS,
        limit_seconds=5,
    )
    outcome = bench.loader.run(nobody)
    assert outcome.answered == 0
    assert sum(outcome.failures.values()) == 2
