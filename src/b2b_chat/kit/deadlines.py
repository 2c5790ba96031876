"""A deadline that moves with every sign of life."""

import asyncio
from types import TracebackType
from typing import Any, Final, Self, cast

_CHECK_AGAIN_SECONDS: Final = 0.05


class DeadlinePassed(TimeoutError):
    """The deadline has passed; `code` is its name."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Deadline:
    """A block's deadline, which may move; what the block awaits is cancelled when it passes.

    A move costs no timer: the existing one checks, when it fires, whether the deadline has moved. `asyncio.timeout`
    takes two timers for each move.

    Args:
        total_at: The last moment it can move to, by the event loop's clock.
        code: Its name, should it pass.

    Raises:
        DeadlinePassed: The deadline has passed, and the block has ended by that.
    """

    def __init__(self, total_at: float, code: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._working = cast("asyncio.Task[Any]", asyncio.current_task())
        self._total = self._next = (total_at, code)
        self._has_ended = False
        self.is_suspended = False
        """Whether the block does something other than wait for signs of life: then only the last moment counts."""

    def __enter__(self) -> Self:
        self._cancelled_before = self._working.cancelling()
        self._timer = self._loop.call_at(self._next[0], self._check)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        # However the block ended, our cancellation is taken back; another's stays.
        is_ours = self._has_ended and self._working.uncancel() <= self._cancelled_before
        if is_ours and kind is asyncio.CancelledError:
            raise DeadlinePassed(self._next[1]) from None

    def move(self, seconds: float, code: str) -> None:
        """Move the deadline to so many seconds from now, under the name `code`."""
        before = self._next[0]
        self._next = min((self._loop.time() + seconds, code), self._total)
        if self._next[0] < before:
            self._timer.cancel()
            self._timer = self._loop.call_at(self._next[0], self._check)

    def _check(self) -> None:
        now = self._loop.time()
        if now >= self._total[0]:
            self._next = self._total
        if now >= self._next[0] and (self._next is self._total or not self.is_suspended):
            self._has_ended = True
            self._working.cancel()
        else:
            check_at = min(max(self._next[0], now + _CHECK_AGAIN_SECONDS), self._total[0])
            self._timer = self._loop.call_at(check_at, self._check)
