"""Why a message that was accepted has no answer; `messages.error_code` holds one of these codes.

AnswerFailed
├── GatewayUnavailable     503  the gateway was not reached, is shutting down, or its upstream is failing
├── CompanyBusy            503  the company has as many answers under way as it may
├── GatewayTimeout         504  no answer in time
├── AnswerCut              502  the answer broke off
│   └── AnswerLost             the connection to the gateway did, and the gateway itself reported nothing
├── AnswerEmpty            502  the model ended without a word
├── ModelUnavailable       503  the installation's account at OpenAI has no money or no right
├── GatewayRefused         502  the gateway does not accept this installation's calls
├── ContextLengthExceeded  422  the conversation is longer than the model can read, or than may be sent
├── ContentFiltered        422  the model's content filter stopped the conversation
├── MessageRejected        422  the model does not take this message
├── ClientDisconnected     499  no reader was left
├── Interrupted            503  the writing process ended
└── AnswerDefect           500  a defect of ours
"""

from typing import ClassVar, Final

from b2b_chat.product.refusals import Refusal


class AnswerFailed(Refusal):
    """No answer to a message that was accepted. It may be sent again under the same id."""

    retryable: ClassVar[bool]
    """Whether the same message may get an answer later."""
    upstream: str | None = None
    """Which upstream of the gateway failed in mid-answer, where the gateway says so."""


class GatewayUnavailable(AnswerFailed):
    """The gateway or its upstream cannot answer now."""

    code, status, retryable = "gateway_unavailable", 503, True
    message = "The model cannot be reached now. Send the message again with the same client_message_id."

    def __init__(self, retry_after_seconds: str = "2") -> None:
        super().__init__(headers={"Retry-After": retry_after_seconds})


class CompanyBusy(AnswerFailed):
    """As many answers of the company are being written as may be while others want some."""

    code, status, retryable = "company_busy", 503, True
    message = "Your company has too many answers under way. Send the message again when some have ended."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "5"})


class GatewayTimeout(AnswerFailed):
    """The answer did not come in time."""

    code, status, retryable = "gateway_timeout", 504, True
    message = "The model did not answer in time. Send the message again with the same client_message_id."


class AnswerCut(AnswerFailed):
    """The answer ended without its end."""

    code, status, retryable = "answer_cut", 502, True
    message = "The answer broke off. Send the message again with the same client_message_id."


class AnswerLost(AnswerCut):
    """The connection to the gateway ended in the middle of the answer, or of the wait for it."""


class AnswerEmpty(AnswerFailed):
    """The answer has no text."""

    code, status, retryable = "answer_empty", 502, True
    message = "The model gave no answer. Send the message again with the same client_message_id."


class ModelUnavailable(AnswerFailed):
    """OpenAI does not serve the gateway's account: it is unpaid, unknown, or lacks a right."""

    code, status, retryable = "model_unavailable", 503, True
    message = "The model is unavailable. The operator has been alerted; try again later."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "60"})


class GatewayRefused(AnswerFailed):
    """The gateway does not accept this installation's calls."""

    code, status, retryable = "gateway_refused", 502, False
    message = "The gateway does not accept the server's calls. Its operator finds the reason in the gateway's log."


class ContextLengthExceeded(AnswerFailed):
    """Too much text for the model."""

    code, status, retryable = "context_length_exceeded", 422, False
    message = "The conversation is longer than the model can read. Shorten the message or start a new conversation."


class ContentFiltered(AnswerFailed):
    """The content filter stopped the conversation."""

    code, status, retryable = "content_filtered", 422, False
    message = "The model's content filter stopped this conversation. Rephrase the message."


class MessageRejected(AnswerFailed):
    """The model does not take the message."""

    code, status, retryable = "message_rejected", 422, False
    message = "The model does not accept this message. Rephrase or shorten it, and send it as a new one."


class ClientDisconnected(AnswerFailed):
    """The answer had no readers left."""

    code, status, retryable = "client_disconnected", 499, True
    message = "The client left before the answer was complete. Send the message again with the same client_message_id."


class Interrupted(AnswerFailed):
    """The process that wrote the answer ended, or lost its right to."""

    code, status, retryable = "interrupted", 503, True
    message = "The answer was interrupted. Send the message again with the same client_message_id."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


class AnswerDefect(AnswerFailed):
    """A defect of ours ended the run."""

    code, status, retryable = "internal_error", 500, False
    message = "The server failed. Its log has the request id."


ANSWER_FAILURES: Final[tuple[type[AnswerFailed], ...]] = (
    GatewayUnavailable,
    CompanyBusy,
    GatewayTimeout,
    AnswerCut,
    AnswerEmpty,
    ModelUnavailable,
    GatewayRefused,
    ContextLengthExceeded,
    ContentFiltered,
    MessageRejected,
    ClientDisconnected,
    Interrupted,
    AnswerDefect,
)

RESTARTABLE: Final[tuple[type[AnswerFailed], ...]] = (GatewayUnavailable, GatewayTimeout, AnswerCut, ModelUnavailable)
"""After one of these in mid-answer another attempt may end well."""

_BY_CODE: Final[dict[str, type[AnswerFailed]]] = {failure.code: failure for failure in ANSWER_FAILURES}


def stored_failure(error_code: str | None) -> AnswerFailed:
    """Return the failure of a stored message."""
    return _BY_CODE.get(error_code or "", Interrupted)()
