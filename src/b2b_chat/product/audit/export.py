"""The audit log as text for other programs: NDJSON, a line of JSON a record, and CSV."""

import csv
import io
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from b2b_chat.product.audit.schemas import AuditRecord

CSV_COLUMNS: Final = (
    "id",
    "at",
    "company_id",
    "actor_kind",
    "actor_id",
    "actor_user_id",
    "action",
    "outcome",
    "reason",
    "request_id",
    "targets",
    "before",
    "after",
)
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")

_encoder = msgspec.json.Encoder()


class ExportFormat(StrEnum):
    """How records are written."""

    NDJSON = "ndjson"
    CSV = "csv"


MEDIA_TYPES: Final = {ExportFormat.NDJSON: "application/x-ndjson", ExportFormat.CSV: "text/csv"}


def export_head(form: ExportFormat) -> bytes:
    """What comes before the first record."""
    return _csv([CSV_COLUMNS]) if form is ExportFormat.CSV else b""


def export_records(records: Sequence[AuditRecord], form: ExportFormat) -> bytes:
    """Some records as text."""
    if form is ExportFormat.CSV:
        return _csv([_cells(record) for record in records])
    return _encoder.encode_lines(records)


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cells(record: AuditRecord) -> list[str]:
    values = (
        record.id,
        record.at.isoformat(),
        record.company_id,
        record.actor.kind,
        record.actor.id,
        record.actor.user_id,
        record.action,
        record.outcome,
        record.reason,
        record.request_id,
        record.targets,
        record.before,
        record.after,
    )
    return [_cell(value) for value in values]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = _encoder.encode(value).decode() if isinstance(value, dict) else str(value)
    # A spreadsheet would run such a cell as a formula; the quote makes it text.
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
