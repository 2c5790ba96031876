"""What processes cost, read from the OS: CPU time to the nanosecond, and memory with what is shared divided up."""

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_CHILDREN_USER_FIELD: Final = 13  # `cutime` among the fields after the name in /proc/PID/stat; `cstime` comes next

Families = Mapping[str, Iterable[int]]
"""The first process of each part of the software, by the part's name; their children belong to them."""


def family_of(pid: int) -> list[int]:
    """A process and all that descend from it and live."""
    found, unseen = [], [pid]
    while unseen:
        parent = unseen.pop()
        found.append(parent)
        for task in _listed(_PROC / str(parent) / "task"):
            unseen += [int(child) for child in _read(task / "children").split()]
    return found


def cpu_seconds(families: Families) -> dict[str, float]:
    """User and system time that each part has used so far, its ended children's too."""
    return {
        name: sum(_cpu_seconds(pid) for root in roots for pid in family_of(root)) for name, roots in families.items()
    }


def memory_bytes(families: Families) -> dict[str, dict[str, int]]:
    """`rss` and `pss` of each part; pss divides what processes share among them."""
    found = {}
    for name, roots in families.items():
        figures = {"rss": 0, "pss": 0}
        for pid in (pid for root in roots for pid in family_of(root)):
            for line in _read(_PROC / str(pid) / "smaps_rollup").splitlines():
                field, _, rest = line.partition(":")
                if field.lower() in figures:
                    figures[field.lower()] += int(rest.split()[0]) * 1024
        found[name] = figures
    return found


def load_average() -> float:
    """How many processes have wanted to run in the last minute."""
    return os.getloadavg()[0]


def _cpu_seconds(pid: int) -> float:
    try:
        # Linux' number of another process's CPU clock: every thread's time, ended ones included.
        own = time.clock_gettime((~pid << 3) | 2)
    except OSError:  # it has ended; its parent's children's time has it once it is reaped
        return 0.0
    fields = _read(_PROC / str(pid) / "stat").rpartition(")")[2].split()
    ended = fields[_CHILDREN_USER_FIELD : _CHILDREN_USER_FIELD + 2]
    return own + sum(int(ticks) for ticks in ended) / _TICKS_PER_SECOND


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # it has ended
        return []


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # it has ended
        return ""
