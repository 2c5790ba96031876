"""The ledger as text for other programs."""

from collections.abc import Sequence
from typing import Final

import msgspec

from b2b_chat.kit.exports import CsvDialect, ExportFormat, csv_lines
from b2b_chat.product.credits.schemas import LedgerEntry

CSV_COLUMNS: Final = LedgerEntry.__struct_fields__
_encoder = msgspec.json.Encoder()


def export_head(form: ExportFormat, dialect: CsvDialect = CsvDialect.STANDARD) -> bytes:
    """Return the text before the first entry."""
    return csv_lines([CSV_COLUMNS], dialect) if form is ExportFormat.CSV else b""


def export_entries(
    entries: Sequence[LedgerEntry], form: ExportFormat, dialect: CsvDialect = CsvDialect.STANDARD
) -> bytes:
    """Return some entries as text."""
    if form is ExportFormat.CSV:
        return csv_lines([[getattr(entry, name) for name in CSV_COLUMNS] for entry in entries], dialect)
    return _encoder.encode_lines(entries)
