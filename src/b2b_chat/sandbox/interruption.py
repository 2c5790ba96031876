"""Ctrl-C, SIGTERM and a closed terminal as one exception, raised once, so that stopping is never cut short."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """We were asked to end. Not an `Exception`, like KeyboardInterrupt, so that no `except Exception` swallows it."""

    def __init__(self, by: signal.Signals) -> None:
        super().__init__(by.name)
        self.by = by


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it, the first SIGINT, SIGTERM or SIGHUP raises `Interrupted`; later ones do nothing."""
    previous = {by: signal.signal(by, _interrupt) for by in _SIGNALS}
    try:
        yield
    finally:
        for by, handler in previous.items():
            signal.signal(by, handler)


def ignore_interruptions() -> None:
    """From now on nothing interrupts: called where stopping begins.

    A handler that does nothing, and not SIG_IGN, which programs started from here on would inherit.
    """
    for by in _SIGNALS:
        signal.signal(by, _do_nothing)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    ignore_interruptions()
    raise Interrupted(signal.Signals(number))


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    pass
