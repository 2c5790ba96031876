"""The audit log as text for other programs."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from b2b_chat.kit.exports import ExportFormat, csv_lines, text_cell
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
_encoder = msgspec.json.Encoder()


def export_head(form: ExportFormat) -> bytes:
    """What comes before the first record."""
    return csv_lines([CSV_COLUMNS]) if form is ExportFormat.CSV else b""


def export_records(records: Sequence[AuditRecord], form: ExportFormat) -> bytes:
    """Some records as text."""
    if form is ExportFormat.CSV:
        return csv_lines([_cells(record) for record in records])
    return _encoder.encode_lines(records)


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
    return text_cell(_encoder.encode(value).decode() if isinstance(value, dict) else str(value))
