"""How product_api words a failure: `{"detail": {"code", "message"}}`, whatever failed, and the same in OpenAPI."""

from collections import defaultdict
from typing import Any

import structlog
from litestar import Request, Response
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Struct

from b2b_chat.kit.database import is_outage, is_unstorable_text
from b2b_chat.kit.errors import BodyTooLarge, InternalError, InvalidRequest, Refusal, as_refusal
from b2b_chat.kit.openapi import KeyedExample
from b2b_chat.kit.strict_json import UnsupportedMediaType
from b2b_chat.kit.strict_query import UnknownParameter
from b2b_chat.product.request_bodies import InvalidUnicode, NulCharacter, TooDeeplyNested

log = structlog.get_logger(__name__)


class ErrorDetail(Struct, frozen=True):
    """What went wrong, for programs and for people."""

    code: str
    message: str


class ErrorBody(Struct, frozen=True):
    """The body of every failed answer, and the data of `event: error`."""

    detail: ErrorDetail


class DatabaseUnavailable(Refusal):
    """PostgreSQL is away or has no connection left."""

    code, status = "database_unavailable", 503
    message = "The server cannot reach its database now. Try again in a moment."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "2"})


def error_body(refusal: Refusal) -> ErrorBody:
    """A refusal as it is sent."""
    return ErrorBody(ErrorDetail(refusal.code, refusal.message))


def refuse(_request: Request[Any, Any, Any], error: Exception) -> Response[ErrorBody]:
    """Answer any exception."""
    refusal = refusal_of(error)
    return Response(error_body(refusal), status_code=refusal.status, headers=refusal.headers)


def refusal_of(error: Exception) -> Refusal:
    """What any exception is to whoever asked. Only defects are logged here; the access line has the rest."""
    if is_outage(error):
        refusal: Refusal = DatabaseUnavailable()
    elif is_unstorable_text(error):
        refusal = NulCharacter()
    else:
        refusal = as_refusal(error)
    if isinstance(refusal, InternalError):
        log.error("request_failed", exc_info=error)
    elif isinstance(refusal, DatabaseUnavailable):
        log.warning("database_unavailable", exc_info=error)
    return refusal


_IN_BODIES = (BodyTooLarge, UnsupportedMediaType, NulCharacter, InvalidUnicode, TooDeeplyNested)
_ANYWHERE = (InvalidRequest, UnknownParameter, InternalError, DatabaseUnavailable)


def documents(*refusals: type[Refusal], takes_body: bool = False) -> dict[int, ResponseSpec]:
    """The failures of an operation for its OpenAPI description, by status, with an example each."""
    by_status: defaultdict[int, list[type[Refusal]]] = defaultdict(list)
    for refusal in (*refusals, *_ANYWHERE, *(_IN_BODIES if takes_body else ())):
        by_status[refusal.status].append(refusal)
    return {
        status: ResponseSpec(
            data_container=ErrorBody,
            generate_examples=False,
            description="; ".join((refusal.__doc__ or "").partition("\n")[0] for refusal in group),
            examples=[_example(refusal) for refusal in group],
        )
        for status, group in sorted(by_status.items())
    }


def _example(refusal: type[Refusal]) -> KeyedExample:
    body = {"detail": {"code": refusal.code, "message": refusal.message}}
    return KeyedExample(id=refusal.code, summary=refusal.code, value=body)
