"""What a benchmark found: tables on stdout, all figures as JSON, plots as PNG, in a folder of its own."""

import datetime as dt
import importlib.util
import math
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from bench import plots
from bench.measure import load_average

RESULTS: Final = Path(__file__).parent / "results"
_ROOT: Final = Path(__file__).parents[2]


class Table(msgspec.Struct, frozen=True):
    """Rows of text under columns."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    note: str = ""

    def plain(self) -> str:
        """For a terminal."""
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        lines = ["", f"== {self.title}"]
        for row in (self.columns, *self.rows):
            first, *rest = (f"{cell:{'<' if not place else '>'}{widths[place]}}" for place, cell in enumerate(row))
            lines.append("  ".join([first, *rest]))
        return "\n".join([*lines, *([self.note] if self.note else [])])

    def markdown(self) -> str:
        """For a page."""
        rows = [self.columns, ["---", *["---:"] * (len(self.columns) - 1)], *self.rows]
        lines = [f"**{self.title}**", "", *(f"| {' | '.join(row)} |" for row in rows)]
        return "\n".join([*lines, *(["", self.note] if self.note else [])])


class Report:
    """Gathers what one benchmark finds, and shows it as it comes."""

    def __init__(self, what: str, results: Path = RESULTS) -> None:
        self.what = what
        self.environment = environment()
        self.tables: list[Table] = []
        self.figures: dict[str, Any] = {}
        started = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        self.folder = results / f"{started}-{what}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._plots = importlib.util.find_spec("matplotlib") is not None
        if not self._plots:
            self.say("no plots: matplotlib is not installed (uv sync --extra bench)")

    def say(self, line: str) -> None:
        """A line of progress."""
        print(f"[{dt.datetime.now(dt.UTC):%H:%M:%S}] {line}", flush=True)

    def add(self, table: Table) -> None:
        """A table that is done."""
        self.tables.append(table)
        print(table.plain(), flush=True)

    def bars(self, name: str, title: str, unit: str, heights: dict[str, float], *, log: bool = False) -> None:
        """Plot one figure of several things; those that answered nothing have none."""
        known = {thing: height for thing, height in heights.items() if math.isfinite(height)}
        if self._plots and known:
            plots.bars(self.folder / f"{name}.png", title, unit, known, log=log)

    def lines(self, name: str, title: str, axes: tuple[str, str], curves: dict[str, list[tuple[float, float]]]) -> None:
        """Plot figures that depend on another."""
        if self._plots and curves:
            plots.lines(self.folder / f"{name}.png", title, axes, curves)

    def distribution(self, name: str, title: str, seconds: dict[str, list[float]]) -> None:
        """Plot which share of the times is below each time."""
        if self._plots and any(seconds.values()):
            plots.distribution(self.folder / f"{name}.png", title, seconds)

    def save(self) -> None:
        """Write it all down."""
        self.environment["load_average_after"] = load_average()
        found = {
            "what": self.what,
            "environment": self.environment,
            "tables": self.tables,
            "figures": self.figures,
        }
        (self.folder / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
        self.say(f"written to {self.folder}")


def environment() -> dict[str, Any]:
    """The machine and the code that the figures are of."""
    return {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "commit": commit(_ROOT),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "load_average_before": load_average(),
    }


def commit(folder: Path) -> str:
    """What is checked out there, and whether it was changed."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def quantile(figures: Sequence[float], share: float) -> float:
    """The figure that so large a share of them does not exceed; not a number where there are none."""
    if not figures:
        return float("nan")
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def middle(figures: Sequence[float]) -> float:
    """The median; not a number where there are none."""
    return median(figures) if figures else float("nan")


def ms(seconds: float) -> str:
    """Milliseconds, for a table."""
    return f"{seconds * 1000:.2f}"
