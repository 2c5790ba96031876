"""Plots as PNG. matplotlib is in the extra `bench` alone, and is imported when the first plot is made."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def bars(file: Path, title: str, unit: str, heights: Mapping[str, float], *, log: bool) -> None:
    """A bar for each thing, with its figure above."""
    figure, axes = _new(title)
    drawn = axes.bar(list(heights), list(heights.values()))
    axes.bar_label(drawn, fmt="%.3g")
    axes.set_ylabel(unit)
    if log:
        axes.set_yscale("log")
    _save(figure, file)


def lines(file: Path, title: str, labels: tuple[str, str], curves: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """A line for each thing."""
    figure, axes = _new(title)
    for name, points in curves.items():
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=name)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    _save(figure, file)


def distribution(file: Path, title: str, seconds: Mapping[str, Sequence[float]]) -> None:
    """For each thing the share of its times that is below each time."""
    figure, axes = _new(title)
    for name, times in seconds.items():
        ordered = sorted(times)
        shares = [(place + 1) / len(ordered) for place in range(len(ordered))]
        axes.plot([1000 * time for time in ordered], shares, label=name)
    axes.set_xscale("log")
    axes.set_xlabel("ms")
    axes.set_ylabel("share of answers")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    _save(figure, file)


def _new(title: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # noqa: PLC0415 - only where plots are wanted is it installed

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    return figure, axes


def _save(figure: Any, file: Path) -> None:
    figure.savefig(file, dpi=120)
