"""The ledger as text for other programs."""

from collections.abc import Sequence
from typing import Final

import msgspec

from b2b_chat.kit.exports import ExportFormat, csv_lines, text_cell
from b2b_chat.product.credits.schemas import LedgerEntry

CSV_COLUMNS: Final = LedgerEntry.__struct_fields__
_encoder = msgspec.json.Encoder()


def export_head(form: ExportFormat) -> bytes:
    """What comes before the first entry."""
    return csv_lines([CSV_COLUMNS]) if form is ExportFormat.CSV else b""


def export_entries(entries: Sequence[LedgerEntry], form: ExportFormat) -> bytes:
    """Some entries as text."""
    if form is ExportFormat.CSV:
        return csv_lines([_cells(entry) for entry in entries])
    return _encoder.encode_lines(entries)


def _cells(entry: LedgerEntry) -> list[str]:
    fields = msgspec.to_builtins(entry)
    # Only this one is written by people; amounts stay numbers, signs and all.
    fields["external_id"] = text_cell(entry.external_id or "")
    return ["" if fields[name] is None else str(fields[name]) for name in CSV_COLUMNS]
