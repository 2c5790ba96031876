"""An operator's commands about masking: the floor, and any company's rules and lists."""

from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from b2b_chat.cli import main
from b2b_chat.sandbox.postgres import run_sql


def run(database_url: str, *arguments: str) -> Result:
    return CliRunner(env={"DATABASE_URL": database_url}).invoke(main, arguments)


def result_of(database_url: str, *arguments: str) -> str:
    done = run(database_url, *arguments)
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    return done.stdout.rstrip("\n")


@pytest.fixture
def company(database_url: str) -> str:
    return result_of(database_url, "company-create", "Acme", "--owner", "anna@example.test")


def test_the_floor_is_set_shown_and_cleared(database_url: str) -> None:
    assert result_of(database_url, "masking-floor") == ""
    assert result_of(database_url, "masking-floor", "people=mask", "CARD=block") == "The floor has version 1."
    assert result_of(database_url, "masking-floor") == "people=mask\nCARD=block"
    assert result_of(database_url, "masking-floor", "--clear") == "The floor has version 2."
    assert result_of(database_url, "masking-floor") == ""


def test_a_companys_rules_are_set_and_shown(database_url: str, company: str) -> None:
    assert result_of(database_url, "masking-policy", company, "terms=off") == "The company's rules have version 1."
    assert result_of(database_url, "masking-policy", company) == "terms=off"
    allowed = ("terms=off", "--allow-images")
    assert result_of(database_url, "masking-policy", company, *allowed) == "The company's rules have version 2."
    assert result_of(database_url, "masking-policy", company) == "terms=off\n--allow-images"
    assert run(database_url, "masking-policy", str(uuid4()), "terms=off").exit_code == 1
    assert run(database_url, "masking-policy", str(uuid4())).exit_code == 1


def test_lists_are_imported_a_line_an_entry(database_url: str, company: str, tmp_path: Path) -> None:
    words, allowed = tmp_path / "words.txt", tmp_path / "allowed.txt"
    words.write_text("\ufeffПроект Кречет\r\n\n  Ястреб \nястреб\n", encoding="utf-8")
    allowed.write_text("info@example.test\n", encoding="utf-8")
    assert (
        result_of(database_url, "masking-terms", company, "--terms", str(words))
        == "2 terms and 0 allowed values, version 1."
    )
    assert (
        result_of(database_url, "masking-terms", company, "--allowed", str(allowed))
        == "2 terms and 1 allowed values, version 2."
    )
    assert run_sql(database_url, "SELECT terms[1] FROM masking_policies") == "Проект Кречет"


@pytest.mark.parametrize("rule", ["people", "people=hide", "nobody=mask", "TEXT=off", "literals=off", "=mask"])
def test_a_rule_that_is_none_is_named(database_url: str, rule: str) -> None:
    done = run(database_url, "masking-floor", rule)
    assert done.exit_code == 2
    assert run_sql(database_url, "SELECT count(*) FROM masking_floor") == "0"


def test_lists_need_a_file(database_url: str, company: str, tmp_path: Path) -> None:
    assert run(database_url, "masking-terms", company).exit_code == 2
    short = tmp_path / "short.txt"
    short.write_text("x\n", encoding="utf-8")
    assert run(database_url, "masking-terms", company, "--terms", str(short)).exit_code == 2
