"""Every refusal, walked over: its code is known, what it says of retrying is true, and the table has it."""

from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner

from b2b_chat.cli import main
from b2b_chat.kit.errors import Refusal
from b2b_chat.product.error_codes import all_refusals
from b2b_chat.product.refusals import Code

TABLE = Path(__file__).parents[3] / "deploy" / "ERRORS.md"
PASSING = {
    "answer_cut",
    "answer_empty",
    "client_disconnected",
    "company_busy",
    "conversation_busy",
    "credits_held",
    "database_unavailable",
    "gateway_outdated",
    "gateway_timeout",
    "gateway_unavailable",
    "interrupted",
    "limits_unavailable",
    "masking_unavailable",
    "message_in_progress",
    "model_unavailable",
    "not_ready",
    "rate_limited",
    "shutting_down",
    "too_many_open_answers",
    "took_too_long",
}
"""What passes by itself: limits, outages, and answers that are being written."""
REFUSALS = all_refusals()


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.__name__)
def test_a_refusal_is_truthful(refusal: type[Refusal]) -> None:
    assert refusal.code in get_args(Code)
    assert 400 <= refusal.status < 600
    assert refusal.retryable == (refusal.code in PASSING)
    assert refusal.message.endswith(".")
    assert refusal.__doc__


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.__name__)
def test_what_says_when_to_come_back_may_be_tried_again(refusal: type[Refusal]) -> None:
    refused = refusal(["database"]) if refusal.code == "not_ready" else refusal()  # type: ignore[arg-type]
    if "Retry-After" in refused.headers:
        assert refusal.retryable
        assert int(refused.headers["Retry-After"]) > 0
    if refusal.status in {429, 503}:
        assert refusal.retryable
        assert "Retry-After" in refused.headers


def test_a_code_means_one_thing() -> None:
    """Two refusals may share a code only where a client cannot treat them differently."""
    kinds: dict[str, set[tuple[int, bool]]] = {}
    for refusal in REFUSALS:
        kinds.setdefault(refusal.code, set()).add((refusal.status, refusal.retryable))
    assert {code: found for code, found in kinds.items() if len(found) > 1} == {}


def test_the_table_in_deploy_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(main, ["error-codes"]).output
    assert printed == TABLE.read_text(), "Run: b2b-chat error-codes > deploy/ERRORS.md"
    assert all(f"| `{refusal.code}` | {refusal.status} |" in printed for refusal in REFUSALS)
