"""The states of a message: what the tables store and the wire shows."""

from enum import StrEnum
from typing import Literal

Status = Literal["pending", "streaming", "completed", "stopped", "error"]
"""As the wire has it."""


class MessageStatus(StrEnum):
    """Where a message is in its life: pending -> streaming -> completed | stopped | error."""

    PENDING = "pending"
    STREAMING = "streaming"
    COMPLETED = "completed"
    STOPPED = "stopped"
    ERROR = "error"
