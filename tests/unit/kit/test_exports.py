"""Cells and lines of CSV."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from b2b_chat.kit.exports import CsvDialect, csv_lines, text_cell

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20x"]


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_a_text_is_no_formula(text: str) -> None:
    assert text_cell(text) == f"'{text}"


def test_other_texts_stay() -> None:
    assert text_cell("a=1") == "a=1"
    assert text_cell("") == ""


def test_what_separates_is_quoted() -> None:
    assert csv_lines([["a,b", 'c"d', "e\nf"]]) == b'"a,b","c""d","e\nf"\r\n'


AT = datetime(2026, 3, 1, 2, 30, 5, 250000, tzinfo=timezone(timedelta(hours=3)))


@pytest.mark.parametrize(
    ("dialect", "line"),
    [
        (CsvDialect.STANDARD, "-1.500000,7,2026-02-28T23:30:05.250000Z,'-1.5,,a;b\r\n"),
        (CsvDialect.EXCEL, '-1,500000;7;2026-02-28 23:30:05;\'-1.5;;"a;b"\r\n'),
    ],
)
def test_each_dialect_has_its_own_numbers_and_times_and_both_guard_texts(dialect: CsvDialect, line: str) -> None:
    assert csv_lines([[Decimal("-1.500000"), 7, AT, "-1.5", None, "a;b"]], dialect).decode() == line


def test_a_decimal_is_written_out() -> None:
    assert csv_lines([[Decimal("0E-6"), Decimal("1E+3")]]) == b"0.000000,1000\r\n"
