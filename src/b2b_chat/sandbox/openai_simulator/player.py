"""Playing a script to the caller, deltas at their pace."""

import asyncio
import time
import uuid
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final

from b2b_chat.sandbox.openai_simulator.caller import Caller
from b2b_chat.sandbox.openai_simulator.observations import Observation, Outcome
from b2b_chat.sandbox.openai_simulator.script import Pause, Start, Step, Write

_ALWAYS: Final = (
    (b"openai-organization", b"org-simulated"),
    (b"openai-version", b"2020-10-01"),
    (b"x-ratelimit-limit-requests", b"500"),
    (b"x-ratelimit-remaining-requests", b"499"),
    (b"x-ratelimit-reset-requests", b"120ms"),
)
_SHORT_REPLY_STEPS: Final = 2
"""Headers and a whole body are sent before a disconnect could matter."""


class Pace:
    """When each delta is due. All times follow from that of the first one, so that the pace does not drift."""

    def __init__(self, tokens_per_second: float) -> None:
        self._interval_seconds = 1 / tokens_per_second if tokens_per_second else 0.0
        self._due: float | None = None

    def seconds_until_due(self, deltas: int, now: float) -> float:
        """Return the wait before the next deltas; at most 0 if they are due or late."""
        if not deltas or not self._interval_seconds:
            return 0.0
        due = now if self._due is None else self._due
        self._due = due + deltas * self._interval_seconds
        return due - now

    def pause(self, seconds: float) -> None:
        """Postpone everything that is not sent yet."""
        if self._due is not None:
            self._due += seconds


async def play(steps: Sequence[Step], caller: Caller, seen: Observation, pace: Pace) -> Outcome:
    """Take the steps one by one, and return how it ended.

    Raises:
        CallerGone: The caller disconnected before the end.
    """
    now = asyncio.get_running_loop().time
    last = steps[-1]
    if len(steps) > _SHORT_REPLY_STEPS:
        caller.watch()
    for step in steps:
        if isinstance(step, Write):
            early_seconds = pace.seconds_until_due(step.deltas, now())
            if early_seconds > 0:
                await caller.wait(early_seconds)
            await caller.write(step.data, last=step is last)
            seen.deltas_sent += step.deltas
        elif isinstance(step, Pause):
            await caller.wait(step.seconds)
            pace.pause(step.seconds)
        elif isinstance(step, Start):
            seen.status = step.status
            await caller.start(step.status, _headers(step, seen))
        else:
            await caller.drop(step.how)
            return step.how
    return "refused" if seen.status is not None and seen.status >= HTTPStatus.BAD_REQUEST else "completed"


def _headers(step: Start, seen: Observation) -> Iterable[tuple[bytes, bytes]]:
    """The step's own headers and those of every reply."""
    elapsed_ms = int((time.monotonic() - seen.received_monotonic_seconds) * 1000)
    return (
        *step.headers,
        *_ALWAYS,
        (b"openai-processing-ms", str(elapsed_ms).encode()),
        (b"x-request-id", b"req_" + uuid.uuid4().hex.encode()),
    )
