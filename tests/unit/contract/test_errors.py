from typing import get_args

import msgspec
import pytest

from b2b_chat.contract.errors import ACCOUNT_FAULTS, FAILURES, UPSTREAM, Code, Failure, failure_named


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
class TestEachFailure:
    def test_has_a_body_of_the_agreed_shape(self, failure: Failure) -> None:
        assert msgspec.to_builtins(failure.body) == {
            "error": {
                "type": failure.type,
                "code": failure.code,
                "message": failure.message,
                "retryable": failure.retryable,
            }
        }

    def test_has_a_fitting_status(self, failure: Failure) -> None:
        statuses = {
            "authentication_error": {401},
            "idempotency_error": {409, 422},
            "invalid_request_error": {400, 404, 405, 413, 415, 422},
            "upstream_error": {429, 502, 503, 504},
            "unavailable_error": {503},
            "internal_error": {500},
        }
        assert failure.status in statuses[failure.type]

    def test_speaks_in_sentences(self, failure: Failure) -> None:
        assert failure.message[0].isupper()
        assert failure.message.endswith(".")

    def test_callers_errors_are_not_retryable(self, failure: Failure) -> None:
        if failure.type in {"authentication_error", "invalid_request_error"}:
            assert not failure.retryable


def test_codes_are_the_keys() -> None:
    assert all(code == failure.code for code, failure in FAILURES.items())
    assert set(FAILURES) == set(get_args(Code))


def test_a_row_is_found_by_what_came_over_the_wire() -> None:
    assert failure_named("gateway_busy") is FAILURES["gateway_busy"]
    assert failure_named("of_a_newer_release") is None


@pytest.mark.parametrize("code", sorted(ACCOUNT_FAULTS))
def test_a_fault_of_the_account_is_the_upstreams_and_does_not_pass_by_itself(code: Code) -> None:
    assert FAILURES[code].type == UPSTREAM
    assert not FAILURES[code].retryable
