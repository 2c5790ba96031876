"""Test vectors of the signature, made independently of this code."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

_ROWS: Final = json.loads((Path(__file__).parents[2] / "data" / "signing.json").read_text(encoding="utf-8"))
ACCEPT: Final[list[dict[str, Any]]] = _ROWS["accept"]
REJECT: Final[list[dict[str, Any]]] = _ROWS["reject"]
SKEW_SECONDS: Final = 60

each_accepted = pytest.mark.parametrize("row", ACCEPT, ids=lambda row: row["name"])
each_rejected = pytest.mark.parametrize("row", REJECT, ids=lambda row: row["name"])


def raw_headers(row: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    """The row's headers as a server hands them over."""
    return [(name.lower().encode(), value.encode()) for name, value in row["headers"].items()]
