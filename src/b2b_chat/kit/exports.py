"""Lists as text for other programs: NDJSON (one line of JSON a record) and CSV."""

import csv
import io
from codecs import BOM_UTF8
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final

from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, Schema
from litestar.params import QueryParameter
from litestar.response import Stream

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are the full-width forms of the first."""


class ExportFormat(StrEnum):
    """How records are written."""

    NDJSON = "ndjson"
    CSV = "csv"


MEDIA_TYPES: Final = {ExportFormat.NDJSON: "application/x-ndjson", ExportFormat.CSV: "text/csv"}


class CsvDialect(StrEnum):
    """How CSV is written."""

    STANDARD = "standard"
    """RFC 4180: commas between cells, points in numbers, times of RFC 3339."""
    EXCEL = "excel"
    """For Excel in locales with decimal commas: semicolons between cells, times of UTC without a zone."""


Dialect = Annotated[
    CsvDialect,
    QueryParameter(
        description="Of CSV only. `excel`: semicolons between cells and commas in numbers, as Excel has it in Russian."
    ),
]


def csv_lines(rows: Sequence[Sequence[object]], dialect: CsvDialect = CsvDialect.STANDARD) -> bytes:
    """Return rows as CSV. Decimals and times are written as the dialect has them, everything else as text."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";" if dialect is CsvDialect.EXCEL else ",")
    writer.writerows([[_cell(value, dialect) for value in row] for row in rows])
    return text.getvalue().encode()


def _cell(value: object, dialect: CsvDialect) -> str:
    is_excel = dialect is CsvDialect.EXCEL
    match value:
        case None:
            return ""
        case int() | Decimal():
            number = f"{value:f}" if isinstance(value, Decimal) else str(value)
            return number.replace(".", ",") if is_excel else number
        case datetime():
            utc = value.astimezone(UTC)
            return f"{utc:%Y-%m-%d %H:%M:%S}" if is_excel else utc.isoformat().replace("+00:00", "Z")
        case _:
            return text_cell(str(value))


def text_cell(text: str) -> str:
    """Return a text as a cell. A spreadsheet would run some texts as formulas; a leading quote prevents that."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def download(pieces: AsyncGenerator[bytes, None], form: ExportFormat, name: str) -> Stream:
    """Return an export as a download with a file name. CSV gets a byte order mark, without which Excel garbles it."""
    return Stream(
        _marked(pieces) if form is ExportFormat.CSV else pieces,
        media_type=MEDIA_TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="{name}.{form}"'},
    )


async def _marked(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(pieces):
        yield BOM_UTF8
        async for piece in pieces:
            yield piece


@dataclass
class ExportingOperation(Operation):
    """An operation that answers with text in one of several formats, for the OpenAPI document."""

    def __post_init__(self) -> None:
        """Replace what Litestar found by the formats."""
        found: Any = self.responses
        found["200"].description = "A record a line, as JSON or as CSV."
        text = Schema(type=OpenAPIType.STRING)
        found["200"].content = {media_type: OpenAPIMediaType(schema=text) for media_type in MEDIA_TYPES.values()}
