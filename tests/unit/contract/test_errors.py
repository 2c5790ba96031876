import msgspec
import pytest

from b2b_chat.contract.errors import FAILURES, Failure


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

    def test_who_asked_wrongly_need_not_ask_again(self, failure: Failure) -> None:
        if failure.type in {"authentication_error", "invalid_request_error"}:
            assert not failure.retryable


def test_codes_are_the_keys() -> None:
    assert all(code == failure.code for code, failure in FAILURES.items())
