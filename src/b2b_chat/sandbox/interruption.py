"""Ctrl-C, SIGTERM and a closed terminal as one exception, which never interrupts the stopping itself."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN_SECONDS: Final = 0.5


class Interrupted(BaseException):
    """We were asked to end. Not an `Exception`, like KeyboardInterrupt, so that no `except Exception` swallows it."""

    def __init__(self, by: signal.Signals) -> None:
        super().__init__(by.name)
        self.by = by


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` inside on SIGINT, SIGTERM or SIGHUP, until `ignore_interruptions`."""
    previous = {by: signal.signal(by, _interrupt) for by in _SIGNALS}
    previous[signal.SIGALRM] = signal.getsignal(signal.SIGALRM)
    try:
        yield
    finally:
        ignore_interruptions()
        for by, handler in previous.items():
            signal.signal(by, handler)


def ignore_interruptions() -> None:
    """Let nothing interrupt from now on; stopping begins with it.

    A handler does nothing, instead of SIG_IGN, which programs started from now on would inherit.
    """
    signal.setitimer(signal.ITIMER_REAL, 0)
    for by in _SIGNALS:
        signal.signal(by, _do_nothing)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    by = signal.Signals(number)
    ignore_interruptions()

    def interrupt_again(_number: int, _frame: FrameType | None) -> None:
        raise Interrupted(by)

    # Python drops an exception that comes up in a weak reference's callback or a `__del__`, and an import runs many
    # of them. So it is raised again and again, until stopping begins.
    signal.signal(signal.SIGALRM, interrupt_again)
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS, _AGAIN_SECONDS)
    raise Interrupted(by)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    pass
