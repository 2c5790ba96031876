"""Every way in which a call can fail.

    B2BChatError
    ├── NotConfigured            no API key, no address, or a bad one
    ├── ConnectionFailed         no response, or one that was cut
    │   └── TimedOut
    ├── UnexpectedResponse       a response that this client does not understand
    ├── AnswerRestarted          the text that was read so far is void
    ├── WebhookRejected          a webhook that is not the server's, or is too old
    └── APIError                 the server refused: `code`, `message`, `request_id`, `retryable`
        ├── InvalidRequest       400, 413, 415, 422
        ├── Unauthenticated      401
        ├── InsufficientCredits  402
        ├── Forbidden            403
        ├── NotFound             404
        ├── Conflict             409
        ├── RateLimited          429
        ├── ServerFailed         5xx
        └── AnswerFailed         the answer broke off after its first event

An error is raised once the retries are used up, or at once where a retry cannot help.
"""

from http import HTTPStatus
from typing import Final

_SERVER_ERRORS: Final = 500


class B2BChatError(Exception):
    """What every error of this package is."""

    client_message_id: str | None = None
    """Of the message that was sent. Send it again with this id: it is answered and charged once."""
    assistant_message_id: str | None = None
    """Of the answer, where it is known. `chat.follow` reads it."""


class NotConfigured(B2BChatError):
    """There is no API key or no address, or it cannot be used."""


class ConnectionFailed(B2BChatError):
    """No response came, or it was cut."""

    was_sent: bool = True
    """Whether the server may have received the request."""


class TimedOut(ConnectionFailed):
    """Nothing came for `timeout_seconds`."""


class UnexpectedResponse(B2BChatError):
    """The response is not what the API's description says."""


class AnswerRestarted(B2BChatError):
    """The answer is written anew, and the pieces of text that were read are void.

    Iterate over the stream instead of over its `texts()` to get this as an event and go on.
    """


class WebhookRejected(B2BChatError):
    """The webhook's signature, time or form is wrong."""


class APIError(B2BChatError):
    """The server refused, or failed.

    Args:
        message: For people.
        status: Of HTTP; of an answer that failed after its first event, 200.
        code: For programs: one of the server's table of error codes, or `http_<status>` of a proxy before it.
        retryable: Whether the same request, unchanged, may succeed later.
        request_id: Under which the server's log has the request.
        param: The field, parameter or header at fault, where there is one.
        retry_after_seconds: How long the server asks to wait.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        retryable: bool = False,
        request_id: str | None = None,
        param: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.retryable = retryable
        self.request_id = request_id
        self.param = param
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        """Return the message with its code and the request's id."""
        request = f", request {self.request_id}" if self.request_id else ""
        return f"{self.message} ({self.code}{request})"


class InvalidRequest(APIError):
    """The request is not what the operation takes; `param` may say which part."""


class Unauthenticated(APIError):
    """The API key is missing, wrong, expired or revoked."""


class InsufficientCredits(APIError):
    """The company's balance does not pay for the message, or running answers hold it (`credits_held`)."""


class Forbidden(APIError):
    """The key may not do this."""


class NotFound(APIError):
    """There is nothing here that the key may see."""


class Conflict(APIError):
    """The request contradicts the state of things: by `idempotency_conflict` or `conversation_busy`, say."""


class RateLimited(APIError):
    """Too many requests; `retry_after_seconds` says when to go on."""


class ServerFailed(APIError):
    """The server, or what it depends on, cannot answer now."""


class AnswerFailed(APIError):
    """The answer broke off. The failure costs nothing; what was read of it is void."""


_BY_STATUS: Final[dict[int, type[APIError]]] = {
    HTTPStatus.UNAUTHORIZED: Unauthenticated,
    HTTPStatus.PAYMENT_REQUIRED: InsufficientCredits,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimited,
}


def class_of(status: int) -> type[APIError]:
    """Return the class of the error that a status means."""
    return _BY_STATUS.get(status, ServerFailed if status >= _SERVER_ERRORS else InvalidRequest)
