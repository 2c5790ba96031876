"""The error vocabulary of the gateway: every way in which a call can fail, with its status.

A body is `{"error": {"type", "code", "message", "retryable"}}`; after a stream's first byte the same body is the
data of `event: error`. `retryable` means that the same call, unchanged, may succeed later.
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from msgspec import Struct

Kind: TypeAlias = Literal[
    "authentication_error",
    "invalid_request_error",
    "idempotency_error",
    "unavailable_error",
    "upstream_error",
    "internal_error",
]
"""The family of a failure."""

Code: TypeAlias = Literal[
    "missing_signature",
    "malformed_signature",
    "invalid_signature",
    "stale_timestamp",
    "replayed_nonce",
    "nonce_store_unavailable",
    "body_too_large",
    "invalid_body",
    "not_found",
    "method_not_allowed",
    "unsupported_media_type",
    "message_in_flight",
    "idempotency_store_unavailable",
    "idempotency_mismatch",
    "context_length_exceeded",
    "content_filtered",
    "upstream_rejected",
    "upstream_payload_too_large",
    "upstream_unprocessable",
    "upstream_authentication",
    "upstream_permission",
    "upstream_not_found",
    "upstream_quota_exhausted",
    "upstream_rate_limited",
    "upstream_conflict",
    "upstream_failed",
    "upstream_unavailable",
    "upstream_unreachable",
    "upstream_timeout",
    "upstream_stalled",
    "upstream_truncated",
    "upstream_malformed",
    "upstream_empty",
    "gateway_busy",
    "company_busy",
    "shutting_down",
    "not_ready",
    "internal_error",
]
"""The name of a failure. A misspelt one is an error of types, in either app."""


class ErrorDetail(Struct, frozen=True, omit_defaults=True):
    """What went wrong, for programs (`type`, `code`, `retryable`) and for people (`message`).

    The names are plain texts here, so that a newer gateway may have more of them.
    """

    type: str
    code: str
    message: str
    retryable: bool
    upstream: str | None = None
    """Which upstream failed, where it broke off an answer that had begun."""
    param: str | None = None
    """The field of the request that OpenAI rejected, where it says so."""


class ErrorBody(Struct, frozen=True):
    """The body of every failed answer of the gateway."""

    error: ErrorDetail


class Failure(Struct, frozen=True):
    """One row of the vocabulary."""

    type: Kind
    code: Code
    status: int
    retryable: bool
    message: str

    @property
    def body(self) -> ErrorBody:
        """The row as it is sent."""
        return ErrorBody(ErrorDetail(self.type, self.code, self.message, self.retryable))


AUTHENTICATION: Final = "authentication_error"
INVALID_REQUEST: Final = "invalid_request_error"
IDEMPOTENCY: Final = "idempotency_error"
UNAVAILABLE: Final = "unavailable_error"
UPSTREAM: Final = "upstream_error"
INTERNAL: Final = "internal_error"

_ROWS: Final[tuple[tuple[Kind, Code, int, bool, str], ...]] = (
    # At the door
    (AUTHENTICATION, "missing_signature", 401, False, "X-Timestamp, X-Nonce and X-Signature are required."),
    (AUTHENTICATION, "malformed_signature", 401, False, "A signature header is repeated or not of its form."),
    (AUTHENTICATION, "invalid_signature", 401, False, "The signature does not match this call."),
    (AUTHENTICATION, "stale_timestamp", 401, False, "X-Timestamp is outside the allowed clock skew."),
    (AUTHENTICATION, "replayed_nonce", 401, False, "X-Nonce was used before. Sign every attempt afresh."),
    (UNAVAILABLE, "nonce_store_unavailable", 503, True, "Nonces cannot be checked now, so no call is let in."),
    # The request itself
    (INVALID_REQUEST, "body_too_large", 413, False, "The body is larger than this gateway accepts."),
    (INVALID_REQUEST, "invalid_body", 400, False, "The body is not what this operation takes."),
    (INVALID_REQUEST, "not_found", 404, False, "There is nothing here."),
    (INVALID_REQUEST, "method_not_allowed", 405, False, "This path does not take that method."),
    (INVALID_REQUEST, "unsupported_media_type", 415, False, "Send application/json."),
    # A message that is known already
    (IDEMPOTENCY, "message_in_flight", 409, True, "This message is being answered now. Ask again a little later."),
    (UNAVAILABLE, "idempotency_store_unavailable", 503, True, "Whether this message is known cannot be checked now."),
    (IDEMPOTENCY, "idempotency_mismatch", 422, False, "This message_id was used for other content."),
    # OpenAI refuses the request
    (INVALID_REQUEST, "context_length_exceeded", 400, False, "The conversation is longer than the model can read."),
    (INVALID_REQUEST, "content_filtered", 400, False, "OpenAI's content filter stopped this conversation."),
    (INVALID_REQUEST, "upstream_rejected", 400, False, "OpenAI rejected the request."),
    (INVALID_REQUEST, "upstream_payload_too_large", 413, False, "The request is larger than OpenAI accepts."),
    (INVALID_REQUEST, "upstream_unprocessable", 422, False, "OpenAI could not process the request."),
    # OpenAI fails, or refuses our account there
    (UPSTREAM, "upstream_authentication", 502, False, "OpenAI refused the gateway's API key."),
    (UPSTREAM, "upstream_permission", 502, False, "The gateway's OpenAI account may not do this."),
    (UPSTREAM, "upstream_not_found", 502, False, "OpenAI does not know the model or the path."),
    (UPSTREAM, "upstream_quota_exhausted", 503, False, "The gateway's OpenAI quota is used up."),
    (UPSTREAM, "upstream_rate_limited", 429, True, "OpenAI is limiting the gateway. Try again later."),
    (UPSTREAM, "upstream_conflict", 503, True, "OpenAI reported a conflict. Try again."),
    (UPSTREAM, "upstream_failed", 502, True, "OpenAI failed to answer. Try again."),
    (UPSTREAM, "upstream_unavailable", 503, True, "OpenAI is overloaded or down. Try again later."),
    # What happens on the way there
    (UPSTREAM, "upstream_unreachable", 502, True, "OpenAI could not be reached. Try again."),
    (UPSTREAM, "upstream_timeout", 504, True, "OpenAI did not answer in time. Try again."),
    (UPSTREAM, "upstream_stalled", 504, True, "OpenAI fell silent in mid-answer. Try again."),
    (UPSTREAM, "upstream_truncated", 502, True, "OpenAI's answer was cut off. Try again."),
    (UPSTREAM, "upstream_malformed", 502, True, "OpenAI's answer could not be understood. Try again."),
    (UPSTREAM, "upstream_empty", 502, True, "The model ended its answer without any text. Try again."),
    # Ours
    (UNAVAILABLE, "gateway_busy", 503, True, "This gateway is answering as many calls as it can. Try again."),
    (UNAVAILABLE, "company_busy", 503, True, "This company has as many calls under way as it may now. Try again."),
    (UNAVAILABLE, "shutting_down", 503, True, "This gateway is shutting down. Try again."),
    (UNAVAILABLE, "not_ready", 503, True, "Not ready."),
    (INTERNAL, "internal_error", 500, False, "The gateway failed. Its log has the request id."),
)

FAILURES: Final[Mapping[Code, Failure]] = {
    code: Failure(kind, code, status, retryable, text) for kind, code, status, retryable, text in _ROWS
}
"""The vocabulary, by code."""

ACCOUNT_FAULTS: Final[frozenset[Code]] = frozenset(
    {"upstream_authentication", "upstream_permission", "upstream_not_found", "upstream_quota_exhausted"}
)
"""The account at OpenAI is at fault: no money, no valid key, no right to the model. Only an operator can mend it."""


def failure_named(code: str) -> Failure | None:
    """Return the row of a code that came over the wire; None for one that this release does not know."""
    rows: Mapping[str, Failure] = FAILURES  # type: ignore[assignment] # any text may be looked up
    return rows.get(code)
