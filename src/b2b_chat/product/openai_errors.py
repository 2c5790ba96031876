"""How a failure is worded where OpenAI's clients call: `{"error": {"message", "type", "param", "code"}}`.

A refusal keeps its own code, but for those that OpenAI has a name for. What the caller can mend about a request is 400,
as at OpenAI. `x-should-retry` tells OpenAI's SDKs what a status alone would have them get wrong.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

from msgspec import Struct

from b2b_chat.kit.errors import Refusal

_PATHS: Final = re.compile(r"/+v1/+(chat/+completions|responses|models)(/.*)?", re.DOTALL)

_NAMES: Final[Mapping[str, str]] = {
    "unauthenticated": "invalid_api_key",
    "insufficient_credits": "insufficient_quota",
    "rate_limited": "rate_limit_exceeded",
    "too_many_open_answers": "rate_limit_exceeded",
    "content_filtered": "content_filter",
    "text_too_long": "context_length_exceeded",
}
"""What OpenAI calls a refusal of ours."""
_TYPES: Final[Mapping[int, str]] = {402: "insufficient_quota", 429: "requests", 499: "server_error"}
_KEY: Final = "Idempotency-Key"
_OWN_NAME: Final = "client_message_id"
_FIRST_QUOTA: Final = re.compile(r'"[a-z]+";q=(\d+)')
_FIRST_STATE: Final = re.compile(r'"[a-z]+";r=(\d+);t=(\d+)')


class OpenAIError(Struct, frozen=True):
    """What went wrong, as OpenAI words it."""

    message: str
    type: str
    """`invalid_request_error`, `insufficient_quota`, `requests` for a limit, or `server_error`."""
    param: str | None
    """The field or header at fault, where there is one."""
    code: str | None
    """The code, for programs."""


class OpenAIErrorBody(Struct, frozen=True):
    """The body of every failed answer to an OpenAI client, and the data of a stream's last event if it fails."""

    error: OpenAIError


class OpenAIRefusal(NamedTuple):
    """A refusal as it is answered."""

    status: int
    body: OpenAIErrorBody
    headers: dict[str, str]


def is_openai_path(path: str) -> bool:
    """Whether OpenAI's clients call there."""
    return _PATHS.fullmatch(path) is not None


def openai_error(refusal: Refusal) -> OpenAIErrorBody:
    """Return a refusal as OpenAI's clients read it."""
    status = _status(refusal.status)
    code = _NAMES.get(refusal.code, refusal.code)
    type_ = _TYPES.get(
        status, "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    )
    param = _KEY if refusal.code == "idempotency_conflict" or refusal.param == _OWN_NAME else refusal.param
    return OpenAIErrorBody(OpenAIError(refusal.message.replace(_OWN_NAME, _KEY), type_, param, code))


def in_openai_form(refusal: Refusal) -> OpenAIRefusal:
    """Return a refusal with all that its response has."""
    status = _status(refusal.status)
    headers = with_openai_limits(refusal.headers)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in {402, 409, 429}:
        headers["x-should-retry"] = "true" if refusal.retryable else "false"
    return OpenAIRefusal(status, openai_error(refusal), headers)


def with_openai_limits(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with those by which OpenAI tells the caller's limit of requests, where they tell it our way."""
    found = dict(headers)
    quota = _FIRST_QUOTA.match(headers.get("RateLimit-Policy", ""))
    state = _FIRST_STATE.match(headers.get("RateLimit", ""))
    if quota and state:
        found["x-ratelimit-limit-requests"] = quota[1]
        found["x-ratelimit-remaining-requests"] = state[1]
        found["x-ratelimit-reset-requests"] = f"{state[2]}s"
    return found


def _status(status: int) -> int:
    return HTTPStatus.BAD_REQUEST if status == HTTPStatus.UNPROCESSABLE_ENTITY else status
