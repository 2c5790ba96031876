import csv
import io
from datetime import UTC, datetime
from uuid import UUID

import pytest

from b2b_chat.kit.exports import CsvDialect, ExportFormat
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.export import CSV_COLUMNS, export_head, export_records
from b2b_chat.product.audit.schemas import AuditActor, AuditRecord


def a_record(actor_id: str = "root@host", **fields: object) -> AuditRecord:
    known: dict[str, object] = {
        "id": UUID(int=1),
        "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "company_id": None,
        "actor": AuditActor("command_line", actor_id, None),
        "action": Action.CREDITS_ADD,
        "outcome": "ok",
        "reason": None,
        "request_id": None,
        "client_request_id": None,
        "count": 1,
        "targets": {"external_id": "invoice, 1"},
        "before": None,
        "after": {"balance_credits": "1.5"},
    }
    return AuditRecord(**(known | fields))  # type: ignore[arg-type] # the fields are named above


def test_csv_has_a_head_and_a_line_a_record() -> None:
    assert export_head(ExportFormat.CSV) == ",".join(CSV_COLUMNS).encode() + b"\r\n"
    assert export_records([a_record()], ExportFormat.CSV).decode() == (
        "00000000-0000-0000-0000-000000000001,2026-01-02T03:04:05Z,,command_line,root@host,,credits.add,ok,,,,1,"
        '"{""external_id"":""invoice, 1""}",,"{""balance_credits"":""1.5""}"\r\n'
    )


def test_excel_gets_semicolons_and_times_that_it_reads() -> None:
    head = export_head(ExportFormat.CSV, CsvDialect.EXCEL).decode()
    assert head == ";".join(CSV_COLUMNS) + "\r\n"
    line = export_records([a_record(reason="a;b")], ExportFormat.CSV, CsvDialect.EXCEL).decode()
    (row,) = csv.DictReader(io.StringIO(head + line), delimiter=";")
    assert (row["at"], row["reason"], row["after"]) == ("2026-01-02 03:04:05", "a;b", '{"balance_credits":"1.5"}')


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_holds_no_formula(start: str) -> None:
    line = export_records([a_record(f"{start}1+1")], ExportFormat.CSV).decode()
    assert f"'{start}1+1" in line


def test_ndjson_has_a_line_a_record_and_no_head() -> None:
    assert export_head(ExportFormat.NDJSON) == b""
    lines = export_records([a_record(), a_record(outcome="refused", reason="role_too_low")], ExportFormat.NDJSON)
    assert lines.count(b"\n") == 2
    assert lines.endswith(b"\n")
    assert b'"reason":"role_too_low"' in lines
