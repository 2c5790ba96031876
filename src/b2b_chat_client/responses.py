"""What a response means: a value, or an error."""

from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from b2b_chat_client.errors import AnswerFailed, APIError, UnexpectedResponse, class_of
from b2b_chat_client.steps import Head

T = TypeVar("T")

_RETRYABLE_STATUSES: Final = frozenset({408, 425, 429, 502, 503, 504})
"""Of a proxy before the server, which has no codes."""


class _Detail(Struct):
    code: str
    message: str
    retryable: bool = False
    request_id: str | None = None
    param: str | None = None


class _Body(Struct):
    detail: _Detail


def value_of(head: Head, body: bytes, into: type[T]) -> T:
    """Return what the call is for.

    Raises:
        APIError: The status says that it failed.
        UnexpectedResponse: The body is not what the operation answers.
    """
    if not HTTPStatus.OK <= head.status < HTTPStatus.MULTIPLE_CHOICES:
        raise error_of(head, body)
    plain: Any = None if into is type(None) else body.decode(errors="replace")
    if into in {type(None), str}:  # nothing, or a text that is no JSON
        value: T = plain
        return value
    return decoded(body, into)


def error_of(head: Head, body: bytes) -> APIError:
    """Return the error that a response is."""
    retry_after = _retry_after_seconds(head)
    try:
        detail = msgspec.json.decode(body, type=_Body).detail
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return class_of(head.status)(
            f"The server, or a proxy before it, answered with status {head.status}.",
            status=head.status,
            code=f"http_{head.status}",
            retryable=head.status in _RETRYABLE_STATUSES,
            request_id=head.headers.get("x-request-id"),
            retry_after_seconds=retry_after,
        )
    return _refused(class_of(head.status), detail, head.status, retry_after)


def failure_of(data: bytes) -> AnswerFailed:
    """Return the error that the data of `event: error` is."""
    return _refused(AnswerFailed, decoded(data, _Body).detail, HTTPStatus.OK, None)


def decoded(body: bytes, into: type[T]) -> T:
    """Return JSON as what it should be.

    Raises:
        UnexpectedResponse: It is something else.
    """
    try:
        return msgspec.json.decode(body, type=into)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnexpectedResponse(f"The response is not what the API describes: {error}") from error


def converted(value: Any, into: type[T]) -> T:
    """Return plain values as what they should be.

    Raises:
        UnexpectedResponse: They are something else.
    """
    try:
        return msgspec.convert(value, into)
    except msgspec.ValidationError as error:
        raise UnexpectedResponse(f"The response is not what the API describes: {error}") from error


Refused = TypeVar("Refused", bound=APIError)


def _refused(kind: type[Refused], detail: _Detail, status: int, retry_after_seconds: float | None) -> Refused:
    return kind(
        detail.message,
        status=status,
        code=detail.code,
        retryable=detail.retryable,
        request_id=detail.request_id,
        param=detail.param,
        retry_after_seconds=retry_after_seconds,
    )


def _retry_after_seconds(head: Head) -> float | None:
    text = head.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None
