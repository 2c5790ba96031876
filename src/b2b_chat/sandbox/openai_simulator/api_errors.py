"""Errors as OpenAI, Azure and what stands before them (a proxy, a load balancer) word them."""

from typing import Any, Final

import msgspec
from msgspec import Struct

_PROXY_PAGE: Final = (
    b"<html>\r\n<head><title>%d %s</title></head>\r\n<body>\r\n<center><h1>%d %s</h1></center>\r\n"
    b"<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)


class ApiError(Struct, frozen=True):
    """An answer that refuses."""

    status: int
    message: str
    type: str | None = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    extra: dict[str, Any] = {}
    """Further fields of the error object."""
    page: bytes = b""
    """An HTML page in place of a JSON body, as proxies send it."""

    @property
    def content_type(self) -> bytes:
        """The media type of `body`."""
        return b"text/html" if self.page else b"application/json"

    @property
    def body(self) -> bytes:
        """The body as it is sent."""
        return self.page or msgspec.json.encode({"error": self.details})

    @property
    def details(self) -> dict[str, Any]:
        """The value of `error` in the body, or of an in-band error event."""
        return {"message": self.message, "type": self.type, "param": self.param, "code": self.code, **self.extra}


class Refused(Exception):
    """OpenAI would refuse this request."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


def _proxy_error(status: int, reason: bytes) -> ApiError:
    return ApiError(status, reason.decode(), page=_PROXY_PAGE % (status, reason, status, reason))


NO_API_KEY: Final = ApiError(
    401,
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from https://platform.openai.com/account/api-keys.",
)

ERRORS: Final = {
    "bad_request": ApiError(400, "The request could not be processed."),
    "context_length_exceeded": ApiError(
        400,
        "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 310042 tokens. "
        "Please reduce the length of the messages.",
        code="context_length_exceeded",
        param="messages",
    ),
    # As Azure words it.
    "content_filter": ApiError(
        400,
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. "
        "Please modify your prompt and retry.",
        type=None,
        code="content_filter",
        param="prompt",
        extra={
            "status": 400,
            "innererror": {
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_result": {"violence": {"filtered": True, "severity": "medium"}},
            },
        },
    ),
    "invalid_api_key": ApiError(
        401,
        "Incorrect API key provided: sk-simul****ated. You can find your API key at "
        "https://platform.openai.com/account/api-keys.",
        code="invalid_api_key",
    ),
    "forbidden": ApiError(
        403,
        "Country, region, or territory not supported",
        type="request_forbidden",
        code="unsupported_country_region_territory",
    ),
    "model_not_found": ApiError(
        404, "The model `gpt-5.2` does not exist or you do not have access to it.", code="model_not_found"
    ),
    "request_timeout": ApiError(408, "The request timed out. Please try again.", type="server_error"),
    "conflict": ApiError(409, "The resource was updated by another request. Please try again."),
    "too_large": ApiError(413, "Request entity too large."),
    "unprocessable": ApiError(422, "The request was well-formed but could not be processed."),
    "rate_limit": ApiError(
        429,
        "Rate limit reached for gpt-5.2 in organization org-simulated on requests per min (RPM): Limit 500, Used 500, "
        "Requested 1. Please try again in 120ms. Visit https://platform.openai.com/account/rate-limits to learn more.",
        type="requests",
        code="rate_limit_exceeded",
    ),
    "insufficient_quota": ApiError(
        429,
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
        type="insufficient_quota",
        code="insufficient_quota",
    ),
    "server_error": ApiError(
        500,
        "The server had an error while processing your request. Sorry about that! You can retry your request, or "
        "contact us through our help center at help.openai.com if the error persists.",
        type="server_error",
    ),
    "bad_gateway": _proxy_error(502, b"Bad Gateway"),
    "overloaded": ApiError(
        503, "The engine is currently overloaded, please try again later.", type="service_unavailable_error"
    ),
    "gateway_timeout": _proxy_error(504, b"Gateway Time-out"),
}
"""The errors that a directive can ask for by name (`error=rate_limit`)."""


def error_for(status: int) -> ApiError:
    """The error that a directive asks for by its status alone (`status=429`)."""
    for error in ERRORS.values():
        if error.status == status:
            return error
    return msgspec.structs.replace(ERRORS["server_error"], status=status)
