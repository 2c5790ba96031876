"""How fast an upstream writes, and so how many hidden tokens it has probably written when an answer is ended early.

A model that reasons writes hidden tokens before its first text, and they are charged for. The upstream counts
them at the end of an answer. Where an answer is stopped there is no such count, but there is the wait for its first
text, and what other answers had written in theirs.
"""

import time
from typing import Final

_KEPT: Final = 0.98
"""The weight that the earlier answers keep at each new one: about the last fifty count."""
_FASTEST_TOKENS_PER_SECOND: Final = 2000
"""Faster than any model writes: then the wait is not the time that its tokens took."""
_ORDINARY_WAIT_SECONDS: Final = 2.0
"""A model that does not reason may take so long to begin."""
_SHORTEST_WRITING_SECONDS: Final = 0.25
"""In less time no pace can be measured."""
_MISCOUNT: Final = 1.1
_MISCOUNT_TOKENS: Final = 16
"""By how much our count of a text may differ from an upstream's."""


class Pace:
    """When an answer was begun, and when its texts came."""

    def __init__(self) -> None:
        self._began_at = time.monotonic()
        self._first_at: float | None = None
        self._last_at = self._began_at

    def note_text(self) -> None:
        """Take note that a text has come."""
        self._last_at = time.monotonic()
        if self._first_at is None:
            self._first_at = self._last_at

    @property
    def wait_seconds(self) -> float:
        """How long the first text took; until it comes, how long it has taken."""
        return (time.monotonic() if self._first_at is None else self._first_at) - self._began_at

    @property
    def writing_seconds(self) -> float:
        """From the first text to the last."""
        return 0.0 if self._first_at is None else self._last_at - self._first_at


def hidden_tokens(completion_tokens: int, reasoning_tokens: int | None, text_tokens: int) -> int:
    """Return how many tokens of an answer were hidden, where the upstream has counted it.

    Args:
        completion_tokens: All of the answer's.
        reasoning_tokens: The hidden ones, where the upstream reports them.
        text_tokens: Those of the text by our own count, which may differ a little.
    """
    if reasoning_tokens is not None:
        return min(reasoning_tokens, completion_tokens)
    beyond = completion_tokens - text_tokens
    return beyond if beyond > (_MISCOUNT - 1) * text_tokens + _MISCOUNT_TOKENS else 0


class HiddenTokens:
    """How many tokens the upstream writes before the first text of its answers."""

    def __init__(self) -> None:
        self._answers = 0.0
        self._tokens = 0.0
        self._seconds = 0.0

    def observe(self, pace: Pace, tokens: int) -> None:
        """Take note of a streamed answer that the upstream has counted."""
        self._answers = self._answers * _KEPT + 1
        self._tokens = self._tokens * _KEPT + tokens
        self._seconds = self._seconds * _KEPT + pace.wait_seconds

    def estimate(self, pace: Pace, text_tokens: int) -> int:
        """Return how many an answer has probably had, that was ended when its text had so many tokens.

        Before any answer was counted, its wait is taken to have been spent at the pace of its text.
        """
        if not self._answers:
            if pace.writing_seconds < _SHORTEST_WRITING_SECONDS:
                return 0
            thinking_seconds = max(0.0, pace.wait_seconds - _ORDINARY_WAIT_SECONDS)
            return int(thinking_seconds * text_tokens / pace.writing_seconds)
        if self._tokens > self._seconds * _FASTEST_TOKENS_PER_SECOND:
            return int(self._tokens / self._answers)
        return int(pace.wait_seconds * self._tokens / self._seconds) if self._seconds else 0
