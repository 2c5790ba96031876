import json

import pytest

from b2b_chat.sandbox.openai_simulator.api_errors import ERRORS, error_for


@pytest.mark.parametrize("name", [name for name, error in ERRORS.items() if not error.page])
def test_an_error_has_the_four_fields_of_openai(name: str) -> None:
    error = json.loads(ERRORS[name].body)["error"]

    assert error.keys() >= {"message", "type", "param", "code"}
    assert error["message"]


@pytest.mark.parametrize("name", ["bad_gateway", "gateway_timeout"])
def test_a_proxy_answers_with_a_page(name: str) -> None:
    assert ERRORS[name].content_type == b"text/html"
    assert ERRORS[name].body.startswith(b"<html>")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 599])
def test_every_status_has_an_error(status: int) -> None:
    assert error_for(status).status == status


def test_the_ambiguous_ones_are_named() -> None:
    assert error_for(429).code == "rate_limit_exceeded"
    assert ERRORS["insufficient_quota"].status == 429
    assert ERRORS["content_filter"].status == ERRORS["context_length_exceeded"].status == 400
