"""The states of a message: what the tables store and the wire shows."""

from enum import StrEnum
from typing import Literal

Status = Literal["pending", "streaming", "completed", "stopped", "error"]
"""As the wire has it."""

CutBy = Literal["model", "limit", "balance"]
"""What ended an answer of `finish_reason` `length`: the model, CHAT_MAX_COMPLETION_TOKENS, or the company's balance."""


Origin = Literal["chat", "completions", "kept"]
"""How a conversation came about: by a message; by a call of the completions, which is shown to no one and erased once
no replay may need it; or by such a call whose caller wants it kept as a conversation.
"""


class MessageStatus(StrEnum):
    """Where a message is in its life: pending -> streaming -> completed | stopped | error."""

    PENDING = "pending"
    STREAMING = "streaming"
    COMPLETED = "completed"
    STOPPED = "stopped"
    ERROR = "error"
