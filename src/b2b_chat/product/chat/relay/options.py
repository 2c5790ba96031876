"""How processes follow each other's runs."""

from typing import Final

from msgspec import Struct

_BEATS_UNTIL_GONE: Final = 4


class RelayOptions(Struct, frozen=True):
    """How long is waited for whom, and how much may be on its way."""

    heartbeat_seconds: float
    """How often two processes that share a run tell each other that they are there."""
    ask_timeout_seconds: float
    """How long an answer to a question to all is waited for, before the database is asked."""
    unheard_chars: int
    """How much text may be on its way to a follower that has not said that it came."""

    @property
    def gone_seconds(self) -> float:
        """Who was silent so long is taken for dead."""
        return _BEATS_UNTIL_GONE * self.heartbeat_seconds
