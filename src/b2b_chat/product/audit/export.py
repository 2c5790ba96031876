"""The audit log as text for other programs."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from b2b_chat.kit.exports import CsvDialect, ExportFormat, csv_lines
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
    "client_request_id",
    "count",
    "targets",
    "before",
    "after",
)
_encoder = msgspec.json.Encoder()


def export_head(form: ExportFormat, dialect: CsvDialect = CsvDialect.STANDARD) -> bytes:
    """Return the text before the first record."""
    return csv_lines([CSV_COLUMNS], dialect) if form is ExportFormat.CSV else b""


def export_records(
    records: Sequence[AuditRecord], form: ExportFormat, dialect: CsvDialect = CsvDialect.STANDARD
) -> bytes:
    """Return some records as text."""
    if form is ExportFormat.CSV:
        return csv_lines([_cells(record) for record in records], dialect)
    return _encoder.encode_lines(records)


def _cells(record: AuditRecord) -> list[object]:
    return [
        record.id,
        record.at,
        record.company_id,
        record.actor.kind,
        record.actor.id,
        record.actor.user_id,
        record.action,
        record.outcome,
        record.reason,
        record.request_id,
        record.client_request_id,
        record.count,
        _as_json(record.targets),
        _as_json(record.before),
        _as_json(record.after),
    ]


def _as_json(facts: dict[str, Any] | None) -> str | None:
    return None if facts is None else _encoder.encode(facts).decode()
