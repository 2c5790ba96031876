"""What the gateway's own errors mean to a client of product_api."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec

from b2b_chat.contract.errors import ACCOUNT_FAULTS, Code, ErrorBody, ErrorDetail, failure_named
from b2b_chat.kit.http.response import Response
from b2b_chat.product.chat.failures import (
    AnswerCut,
    AnswerDefect,
    AnswerEmpty,
    AnswerFailed,
    CompanyBusy,
    ContentFiltered,
    ContextLengthExceeded,
    GatewayRefused,
    GatewayTimeout,
    GatewayUnavailable,
    MessageRejected,
    ModelUnavailable,
)

_FAILURES: Final[Mapping[Code, type[AnswerFailed]]] = {
    "context_length_exceeded": ContextLengthExceeded,
    "body_too_large": ContextLengthExceeded,
    "upstream_payload_too_large": ContextLengthExceeded,
    "content_filtered": ContentFiltered,
    "upstream_rejected": MessageRejected,
    "upstream_unprocessable": MessageRejected,
    "idempotency_mismatch": MessageRejected,
    "company_busy": CompanyBusy,
    "upstream_timeout": GatewayTimeout,
    "upstream_stalled": GatewayTimeout,
    "upstream_truncated": AnswerCut,
    "upstream_malformed": AnswerCut,
    "upstream_empty": AnswerEmpty,
    "internal_error": AnswerDefect,
    **dict.fromkeys(ACCOUNT_FAULTS, ModelUnavailable),
}
"""What the gateway's codes mean where they say more than whether a call may succeed later."""

_errors: Final = msgspec.json.Decoder(ErrorBody)


def error_in(body: bytes) -> ErrorDetail | None:
    """Return the gateway's own error; None where a proxy in between answers, or no gateway at all."""
    try:
        return _errors.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def failure_of(response: Response, body: bytes) -> AnswerFailed:
    """Return what a refusal means, or the error that ends a stream."""
    detail = error_in(body)
    if detail is None:
        too_large = response.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return ContextLengthExceeded() if too_large else GatewayUnavailable()
    failure = _named(response, detail)
    failure.upstream = detail.upstream
    if detail.param is not None:
        failure.param = detail.param
    return failure


def _named(response: Response, detail: ErrorDetail) -> AnswerFailed:
    known = failure_named(detail.code)
    if known is not None and known.code in _FAILURES:
        return _FAILURES[known.code]()
    if detail.retryable:
        retry_after = response.headers.get("retry-after")
        return GatewayUnavailable(retry_after) if retry_after else GatewayUnavailable()
    return GatewayRefused()
