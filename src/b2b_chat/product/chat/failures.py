"""Why a message that was accepted has no answer, in full; `messages.error_code` holds one of these codes.

AnswerFailed
├── (of the gateway: see `product.gateway_client`)
├── ClientDisconnected  499  nobody was left to read
├── Interrupted         503  the writing process ended
└── AnswerDefect        500  a defect of ours
"""

from typing import Final

from b2b_chat.product.gateway_client import (
    AnswerCut,
    AnswerFailed,
    ContentFiltered,
    ContextLengthExceeded,
    GatewayRefused,
    GatewayTimeout,
    GatewayUnavailable,
)


class ClientDisconnected(AnswerFailed):
    """Nobody was left to read the answer."""

    code, status = "client_disconnected", 499
    message = "The client left before the answer was complete. Send the message again with the same client_message_id."


class Interrupted(AnswerFailed):
    """The process that wrote the answer ended, or lost its right to."""

    code, status = "interrupted", 503
    message = "The answer was interrupted. Send the message again with the same client_message_id."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


class AnswerDefect(AnswerFailed):
    """A defect of ours ended the run."""

    code, status = "internal_error", 500
    message = "The server failed. Its log has the request id."


ANSWER_FAILURES: Final[tuple[type[AnswerFailed], ...]] = (
    GatewayUnavailable,
    GatewayTimeout,
    AnswerCut,
    GatewayRefused,
    ContextLengthExceeded,
    ContentFiltered,
    ClientDisconnected,
    Interrupted,
    AnswerDefect,
)

_BY_CODE: Final = {failure.code: failure for failure in ANSWER_FAILURES}


def stored_failure(error_code: str | None) -> AnswerFailed:
    """The failure that a stored message tells of."""
    return _BY_CODE.get(error_code or "", Interrupted)()
