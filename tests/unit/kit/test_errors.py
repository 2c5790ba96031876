"""What any exception is a refusal of."""

import pytest
from litestar.exceptions import (
    ClientException,
    HTTPException,
    ImproperlyConfiguredException,
    InternalServerException,
    MethodNotAllowedException,
    NotAuthorizedException,
    NotFoundException,
    ValidationException,
)

from b2b_chat.kit.errors import (
    BodyTooLarge,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Refusal,
    as_refusal,
)


class OutOfTea(Refusal):
    """A refusal of a domain."""

    code, status = "out_of_tea", 418
    message = "There is no tea."


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (NotFoundException(), NotFound),
        (MethodNotAllowedException(), MethodNotAllowed),
        (ValidationException(), InvalidRequest),
        (ClientException(), InvalidRequest),
        (NotAuthorizedException(), InvalidRequest),
        (HTTPException(status_code=413), BodyTooLarge),
        (HTTPException(status_code=451), InvalidRequest),
        (HTTPException(status_code=500), InternalError),
        (HTTPException(status_code=503), InternalError),
        (InternalServerException(), InternalError),
        (ImproperlyConfiguredException(), InternalError),
        (ValueError("x"), InternalError),
        (Exception(), InternalError),
    ],
)
def test_an_exception_stands_for_a_refusal(error: Exception, refusal: type[Refusal]) -> None:
    assert type(as_refusal(error)) is refusal


def test_a_refusal_stands_for_itself() -> None:
    refusal = OutOfTea("Only Earl Grey is left.", headers={"Retry-After": "60"})
    assert as_refusal(refusal) is refusal
    assert (refusal.code, refusal.status, refusal.message) == ("out_of_tea", 418, "Only Earl Grey is left.")
    assert refusal.headers == {"Retry-After": "60"}


def test_without_words_of_its_own_it_has_its_classes() -> None:
    refusal = OutOfTea()
    assert (refusal.message, refusal.headers, str(refusal)) == ("There is no tea.", {}, "out_of_tea")
    assert OutOfTea.message == "There is no tea."


def test_the_methods_that_are_allowed_are_passed_on() -> None:
    error = MethodNotAllowedException(headers={"Allow": "GET"})
    assert as_refusal(error).headers == {"Allow": "GET"}


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ([{"key": "limit", "message": "Expected `int` >= 1"}], " limit: Expected `int` >= 1"),
        (
            [{"key": "a", "message": "first", "source": "query"}, {"message": "second"}],
            " a: first second",
        ),
        ([{"key": "a"}, "text", None], ""),
        ([], ""),
        ({"key": "a", "message": "no list"}, ""),
        (None, ""),
    ],
)
def test_what_is_invalid_is_named(extra: object, told: str) -> None:
    error = ValidationException(detail="canary", extra=extra)  # type: ignore[arg-type] # Litestar passes on what it has
    assert as_refusal(error).message == InvalidRequest.message + told


@pytest.mark.parametrize("error", [ValueError("canary"), HTTPException(detail="canary"), ClientException("canary")])
def test_words_of_others_are_not_passed_on(error: Exception) -> None:
    assert "canary" not in as_refusal(error).message
