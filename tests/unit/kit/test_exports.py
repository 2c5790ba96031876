"""Cells and lines of CSV."""

import pytest

from b2b_chat.kit.exports import csv_lines, text_cell


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_is_no_formula(text: str) -> None:
    assert text_cell(text) == f"'{text}"


def test_other_texts_stay() -> None:
    assert text_cell("a=1") == "a=1"
    assert text_cell("") == ""


def test_what_separates_is_quoted() -> None:
    assert csv_lines([["a,b", 'c"d', "e\nf"]]) == b'"a,b","c""d","e\nf"\r\n'
