"""Lists as text for other programs: NDJSON, a line of JSON a record, and CSV."""

import csv
import io
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, Schema
from litestar.response import Stream

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


class ExportFormat(StrEnum):
    """How records are written."""

    NDJSON = "ndjson"
    CSV = "csv"


MEDIA_TYPES: Final = {ExportFormat.NDJSON: "application/x-ndjson", ExportFormat.CSV: "text/csv"}


def csv_lines(rows: Sequence[Sequence[str]]) -> bytes:
    """Rows of cells as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def text_cell(text: str) -> str:
    """A text as a cell. A spreadsheet would run some as a formula; the quote makes them text."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def download(pieces: AsyncGenerator[bytes, None], form: ExportFormat, name: str) -> Stream:
    """An export as an answer that a browser saves under a name."""
    return Stream(
        pieces,
        media_type=MEDIA_TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="{name}.{form}"'},
    )


@dataclass
class ExportingOperation(Operation):
    """In the OpenAPI document: an operation that answers with text in one of several formats."""

    def __post_init__(self) -> None:
        """Replace what Litestar found by the formats."""
        found: Any = self.responses
        found["200"].description = "A record a line, as JSON or as CSV."
        text = Schema(type=OpenAPIType.STRING)
        found["200"].content = {media_type: OpenAPIMediaType(schema=text) for media_type in MEDIA_TYPES.values()}
