"""How failures look on the wire.

The vocabulary itself is `contract.errors`. OpenAI's own wording never leaves this process: it can quote a prompt.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import structlog
from litestar import Request, Response
from litestar.types import Send
from msgspec import structs

from b2b_chat.contract.errors import FAILURES, Code, ErrorBody, ErrorDetail, Failure, failure_named
from b2b_chat.kit.disconnects import CLIENT_LEFT_STATUS, ClientLeft
from b2b_chat.kit.errors import InternalError, InvalidRequest, as_refusal
from b2b_chat.kit.health import NotReady

log = structlog.get_logger(__name__)


class UpstreamFailure(Exception):
    """A call that OpenAI did not answer, or not to its end."""

    def __init__(self, code: Code, *, retry_after_seconds: float | None = None, has_waited: bool = False) -> None:
        """Args are its name, when to come back, and whether it took all the time that a first text may take."""
        self.failure: Failure = FAILURES[code]
        self.retry_after_seconds = retry_after_seconds
        self.has_waited = has_waited
        self.upstream: str | None = None
        """Which upstream broke off an answer that had begun."""
        self.param: str | None = None
        """The field that OpenAI rejected, where it says so."""
        super().__init__(code)

    @property
    def code(self) -> Code:
        """Its name in the vocabulary, which traces read too."""
        return self.failure.code


class ErrorAnswer(NamedTuple):
    """How an exception is answered."""

    status: int
    body: ErrorBody | None
    headers: Mapping[str, str]


def error_answer(error: Exception) -> ErrorAnswer:
    """Return the answer for what a handler, or Litestar itself, raised. Defects are logged here."""
    if isinstance(error, ClientLeft):
        return ErrorAnswer(CLIENT_LEFT_STATUS, None, {})
    if isinstance(error, UpstreamFailure):
        return ErrorAnswer(error.failure.status, _body(error), _retry_after(error))
    refusal = as_refusal(error)
    if isinstance(refusal, InternalError):
        log.error("internal_error", exc_info=error)
    is_invalid = isinstance(refusal, InvalidRequest)
    failure = failure_named("invalid_body" if is_invalid else refusal.code) or FAILURES["internal_error"]
    message = refusal.message if is_invalid or isinstance(refusal, NotReady) else failure.message
    body = ErrorBody(ErrorDetail(failure.type, failure.code, message, failure.retryable))
    return ErrorAnswer(failure.status, body, refusal.headers)


def on_exception(_request: Request[Any, Any, Any], error: Exception) -> Response[ErrorBody | None]:
    """Answer an exception within Litestar."""
    status, body, headers = error_answer(error)
    return Response(body, status_code=status, headers=headers)


async def send_error(send: Send, error: Exception) -> None:
    """Answer an exception outside of Litestar."""
    status, body, headers = error_answer(error)
    await send_json(send, status, b"" if body is None else msgspec.json.encode(body), headers)


async def send_failure(send: Send, failure: Failure, headers: Mapping[str, str]) -> None:
    """Answer with a row of the vocabulary."""
    await send_json(send, failure.status, msgspec.json.encode(failure.body), headers)


async def send_json(send: Send, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    """Send a whole response."""
    lines = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    lines += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _body(error: UpstreamFailure) -> ErrorBody:
    body = error.failure.body
    if error.upstream is None and error.param is None:
        return body
    return ErrorBody(structs.replace(body.error, upstream=error.upstream, param=error.param))


def _retry_after(failure: UpstreamFailure) -> dict[str, str]:
    seconds = failure.retry_after_seconds
    return {} if seconds is None else {"Retry-After": str(math.ceil(seconds))}
