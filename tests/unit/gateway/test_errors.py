import json
from typing import Any

import pytest
from litestar import Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from b2b_chat.contract.errors import FAILURES, Code, ErrorBody
from b2b_chat.gateway.errors import UpstreamFailure, on_exception
from b2b_chat.kit.disconnects import ClientLeft
from b2b_chat.kit.errors import InvalidRequest
from b2b_chat.kit.strict_json import UnsupportedMediaType


def answer(error: Exception) -> Response[Any]:
    request: Any = None  # it plays no part
    return on_exception(request, error)


def test_a_failure_of_openai_is_answered_with_its_row() -> None:
    response = answer(UpstreamFailure("upstream_failed"))
    assert response.status_code == 502
    assert response.content == FAILURES["upstream_failed"].body
    assert "Retry-After" not in response.headers


@pytest.mark.parametrize(("seconds", "header"), [(0, "0"), (0.2, "1"), (2, "2"), (2.1, "3")])
def test_when_to_come_back_is_passed_on_and_never_too_early(seconds: float, header: str) -> None:
    response = answer(UpstreamFailure("upstream_rate_limited", retry_after_seconds=seconds))
    assert response.status_code == 429
    assert response.headers["Retry-After"] == header


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFoundException(), 404, "not_found"),
        (MethodNotAllowedException(), 405, "method_not_allowed"),
        (HTTPException(status_code=413), 413, "body_too_large"),
        (HTTPException(status_code=400), 400, "invalid_body"),
        (InvalidRequest("Something closer."), 400, "invalid_body"),
        (UnsupportedMediaType(), 415, "unsupported_media_type"),
        (RuntimeError("a secret"), 500, "internal_error"),
    ],
)
def test_everything_else_is_answered_from_the_vocabulary(error: Exception, status: int, code: Code) -> None:
    response = answer(error)
    assert response.status_code == status
    assert isinstance(response.content, ErrorBody)
    assert response.content.error.code == code
    assert response.content.error.type == FAILURES[code].type
    assert "secret" not in json.dumps(response.content.error.message)


def test_the_fault_of_a_body_is_named() -> None:
    content = answer(InvalidRequest("Something closer.")).content
    assert content.error.message == "Something closer."


def test_the_allowed_methods_are_named() -> None:
    assert answer(MethodNotAllowedException(headers={"Allow": "GET"})).headers["Allow"] == "GET"


def test_a_client_that_left_gets_no_answer() -> None:
    response = answer(ClientLeft())
    assert (response.status_code, response.content) == (499, None)


def test_traces_find_the_code_where_they_look_for_it() -> None:
    assert UpstreamFailure("upstream_timeout").code == "upstream_timeout"
