"""Refusals: expected failures, each with a name, a status and a text of its own.

    Refusal
    ├── InvalidRequest      400  the request cannot be understood
    ├── NotFound            404  nothing at this address
    ├── MethodNotAllowed    405  something is there, but not for this method
    ├── BodyTooLarge        413  more bytes than the app accepts
    ├── InternalError       500  a defect of ours
    └── (the domains' own)

An app decides how a refusal looks on the wire; this module decides what any exception is a refusal of.
"""

from collections.abc import Mapping
from typing import ClassVar

from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)

from b2b_chat.kit.text import in_words


class Refusal(Exception):
    """An expected failure. Subclasses set `code`, `status` and `message`; an instance may have a more exact message."""

    code: ClassVar[str]
    status: ClassVar[int]
    retryable: ClassVar[bool] = False
    """Whether the same request, unchanged, may succeed later."""
    message: str
    param: str | None = None
    """The field, parameter or header at fault, where there is one."""

    def __init__(
        self, message: str | None = None, *, headers: Mapping[str, str] | None = None, param: str | None = None
    ) -> None:
        if message is not None:
            self.message = message
        if param is not None:
            self.param = param
        self.headers = dict(headers or {})
        super().__init__(self.code)


class InvalidRequest(Refusal):
    """The request is not what the operation takes."""

    code, status = "invalid_request", 400
    message = "The request is not what this operation takes."


class NotFound(Refusal):
    """Nothing at this address, or nothing that the caller may see."""

    code, status = "not_found", 404
    message = "There is nothing here."


class MethodNotAllowed(Refusal):
    """The address exists, but not for this method."""

    code, status = "method_not_allowed", 405
    message = "This path does not take that method."


class BodyTooLarge(Refusal):
    """The body has more bytes than the app accepts."""

    code, status = "body_too_large", 413
    message = "The body is larger than this server accepts."


class InternalError(Refusal):
    """A defect of ours, which the caller cannot mend."""

    code, status = "internal_error", 500
    message = "The server failed. Its log has the request id."


def as_refusal(error: Exception) -> Refusal:
    """Return the refusal that an exception stands for; for an unexpected one `InternalError`."""
    match error:
        case Refusal():
            return error
        case NotFoundException():
            return NotFound()
        case MethodNotAllowedException():
            return MethodNotAllowed(headers=error.headers)
        case ValidationException():
            return InvalidRequest(_what_is_invalid(error), param=_param_of(error))
        case HTTPException(status_code=BodyTooLarge.status):
            return BodyTooLarge()
        case HTTPException(status_code=status) if status < InternalError.status:
            return InvalidRequest()
        case _:
            return InternalError()


def _what_is_invalid(error: ValidationException) -> str:
    """Name the fields, with msgspec's words for what is wrong with them. These hold types and bounds, no values."""
    extra = error.extra if isinstance(error.extra, list) else []
    problems = [
        in_words(f"{item['key']}: {item['message']}" if item.get("key") else str(item["message"]))
        for item in extra
        if isinstance(item, dict) and "message" in item
    ]
    return " ".join([InvalidRequest.message, *problems])


def _param_of(error: ValidationException) -> str | None:
    """Return the first parameter or header that is named."""
    extra = error.extra if isinstance(error.extra, list) else []
    return next((item["key"] for item in extra if isinstance(item, dict) and item.get("key")), None)
