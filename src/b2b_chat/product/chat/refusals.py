"""Why a message is not taken, and why an answer is not found or stopped; failures of answers are in `failures`."""

from b2b_chat.product.refusals import Refusal


class IdempotencyConflict(Refusal):
    """The client message id names another message already."""

    code, status = "idempotency_conflict", 409
    param = "client_message_id"
    message = "This client_message_id was used for a different message. Choose a new one."


class AnswerNotFound(Refusal):
    """No such answer, or not the viewer's."""

    code, status = "answer_not_found", 404
    param = "assistant_message_id"
    message = "You have no answer with this id."


class NothingToStop(Refusal):
    """The answer has failed already."""

    code, status = "nothing_to_stop", 409
    message = "This answer has failed, so there is nothing to stop. Send the message again to retry."


class ShuttingDown(Refusal):
    """The process is about to end."""

    code, status = "shutting_down", 503
    retryable = True
    message = "The server is restarting. Send the message again in a moment."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "2"})


class EmptyText(Refusal):
    """Nothing but white space."""

    code, status = "empty_text", 422
    param = "text"
    message = "The text is empty."
