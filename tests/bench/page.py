"""The figures in deploy/GROWTH.md: the tables of the latest results, between marks that name the benchmark."""

import re
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.report import Table

PAGE: Final = Path(__file__).parents[2] / "deploy" / "GROWTH.md"
_BLOCK: Final = re.compile(r"(<!-- figures: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


class _Results(msgspec.Struct):
    environment: dict[str, Any]
    tables: list[Table]


def refresh(results: Path, page: Path = PAGE) -> None:
    """Replace every block whose benchmark has results; the others stay as they are."""

    def latest(block: re.Match[str]) -> str:
        found = sorted(results.glob(f"*Z-{block[2]}/results.json"))
        if not found:
            return block[0]
        return f"{block[1]}\n{_shown(msgspec.json.decode(found[-1].read_bytes(), type=_Results))}\n{block[3]}"

    page.write_text(_BLOCK.sub(latest, page.read_text()))
    print(f"refreshed {page}")


def _shown(results: _Results) -> str:
    where = results.environment
    versions = "; ".join(f"{name} {version}" for name, version in where.get("versions", {}).items())
    load = f"{where['load_average_before']:.1f} before, {where.get('load_average_after', 0):.1f} after"
    line = (
        f"*Measured {where['at']} at {where['commit']}, {where['cpus']} cores, Python {where['python']}, "
        f"{where['system']}; load average {load}{'; ' + versions if versions else ''}.*"
    )
    return "\n\n".join([line, *(table.markdown() for table in results.tables)]) + "\n"
