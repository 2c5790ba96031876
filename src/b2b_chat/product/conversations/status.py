"""The states of a message: what the tables store and the wire shows."""

from enum import StrEnum
from typing import Literal

Status = Literal["pending", "streaming", "completed", "stopped", "error"]
"""As the wire has it."""

CutBy = Literal["model", "limit", "balance"]
"""What ended an answer of `finish_reason` `length`: the model, CHAT_MAX_COMPLETION_TOKENS, or the company's balance."""


class MessageStatus(StrEnum):
    """Where a message is in its life: pending -> streaming -> completed | stopped | error."""

    PENDING = "pending"
    STREAMING = "streaming"
    COMPLETED = "completed"
    STOPPED = "stopped"
    ERROR = "error"
