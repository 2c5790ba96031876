"""How product_api words a failure, whatever failed, and the same in OpenAPI.

Every failed answer has the body `{"detail": {"code", "message", "retryable", "request_id", "param"}}`, and so has the
data of `event: error`. `param` is there only where one part of the request is at fault.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
import structlog
from litestar import Request, Response
from litestar.openapi.datastructures import ResponseSpec
from msgspec import UNSET, Struct, UnsetType

from b2b_chat.kit import errors
from b2b_chat.kit.current_request import request_id_for_client
from b2b_chat.kit.database import is_outage, is_unstorable_text
from b2b_chat.kit.errors import BodyTooLarge, InternalError, InvalidRequest, as_refusal
from b2b_chat.kit.openapi import FailureExample, failures
from b2b_chat.kit.strict_json import UnsupportedMediaType
from b2b_chat.kit.strict_query import UnknownParameter
from b2b_chat.product.openai_errors import OpenAIErrorBody, in_openai_form, is_openai_path
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.request_bodies import InvalidUnicode, NulCharacter, TooDeeplyNested

log = structlog.get_logger(__name__)

_EXAMPLE_ID: Final = "5f0c3f0a4f4e4c7f9a3c0d0e8b6a2c11"


class ErrorDetail(Struct, frozen=True):
    """What went wrong, for programs and for people."""

    code: str
    """The code, for programs."""
    message: str
    """What went wrong, for people."""
    retryable: bool
    """Whether the same request, unchanged, may succeed later."""
    request_id: str | None
    """Under which the server's log has this request, as in `X-Request-ID`."""
    param: str | UnsetType = UNSET
    """The field, parameter or header at fault, where there is one."""


class ErrorBody(Struct, frozen=True):
    """The body of every failed answer, and the data of `event: error`."""

    detail: ErrorDetail


class DatabaseUnavailable(Refusal):
    """PostgreSQL is away or has no connection left."""

    code, status = "database_unavailable", 503
    retryable = True
    message = "The server cannot reach its database now. Try again in a moment."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "2"})


IN_BODIES: Final = (BodyTooLarge, UnsupportedMediaType, NulCharacter, InvalidUnicode, TooDeeplyNested)
"""How an operation that takes a body can refuse it."""
ANYWHERE: Final = (InvalidRequest, UnknownParameter, InternalError, DatabaseUnavailable)
"""How any operation can fail."""


def error_body(refusal: errors.Refusal) -> ErrorBody:
    """Return a refusal as it is sent."""
    param = UNSET if refusal.param is None else refusal.param
    return ErrorBody(ErrorDetail(refusal.code, refusal.message, refusal.retryable, request_id_for_client(), param))


def refuse(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer any exception, in the form that the caller of the path reads."""
    refusal = refusal_of(error)
    if is_openai_path(request.scope["path"]):
        answer = in_openai_form(refusal)
        return Response(answer.body, status_code=answer.status, headers=answer.headers)
    return Response(error_body(refusal), status_code=refusal.status, headers=refusal.headers)


def refusal_of(error: Exception) -> errors.Refusal:
    """Return what any exception is to the caller. Only defects are logged here; the access line has the rest."""
    refusal: errors.Refusal
    if is_outage(error):
        refusal = DatabaseUnavailable()
    elif is_unstorable_text(error):
        refusal = NulCharacter()
    else:
        refusal = as_refusal(error)
    if isinstance(refusal, InternalError):
        log.error("request_failed", exc_info=error)
    elif isinstance(refusal, DatabaseUnavailable):
        log.warning("database_unavailable", exc_info=error)
    return refusal


class Documented(dict[int, ResponseSpec]):
    """The failures of an operation for its OpenAPI description, by status, with an example each."""

    def __init__(self, refusals: Iterable[type[errors.Refusal]], *, for_openai: bool = False) -> None:
        self.refusals = tuple(dict.fromkeys(refusals))
        self.for_openai = for_openai
        body = OpenAIErrorBody if for_openai else ErrorBody
        super().__init__(failures(body, map(_openai_example if for_openai else _example, self.refusals)))

    def between(self, before: Iterable[type[errors.Refusal]], after: Iterable[type[errors.Refusal]]) -> "Documented":
        """Return these failures with others around them, in the same form."""
        return Documented((*before, *self.refusals, *after), for_openai=self.for_openai)


def documents(*refusals: type[errors.Refusal]) -> Documented:
    """Say in which ways of its own an operation can fail; what its guards and its body add is added by the app."""
    return Documented(refusals)


def documents_for_openai(*refusals: type[errors.Refusal]) -> Documented:
    """Say the same of an operation that OpenAI's clients call."""
    return Documented(refusals, for_openai=True)


def _openai_example(refusal: type[errors.Refusal]) -> FailureExample:
    status, body, _ = in_openai_form(refusal())
    meaning = (refusal.__doc__ or "").partition("\n")[0]
    return FailureExample(status, body.error.code or refusal.code, meaning, msgspec.to_builtins(body))


def _example(refusal: type[errors.Refusal]) -> FailureExample:
    param = UNSET if refusal.param is None else refusal.param
    detail = ErrorDetail(refusal.code, refusal.message, refusal.retryable, _EXAMPLE_ID, param)
    meaning = (refusal.__doc__ or "").partition("\n")[0]
    return FailureExample(refusal.status, refusal.code, meaning, msgspec.to_builtins(ErrorBody(detail)))
