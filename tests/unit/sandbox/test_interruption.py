import os
import signal
import time
from contextlib import suppress

import pytest

from b2b_chat.sandbox.interruption import Interrupted, ignore_interruptions, interruptible


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_raises_and_later_ones_do_not_cut_the_stopping_short(by: signal.Signals) -> None:
    steps = []

    def work() -> None:
        try:
            os.kill(os.getpid(), by)
            steps.append("went on")
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            steps.append("stopped in order")

    with interruptible(), pytest.raises(Interrupted) as raised:
        work()
    assert raised.value.by == by
    assert steps == ["stopped in order"]


def test_an_interruption_that_python_drops_comes_again() -> None:
    class Clumsy:
        def __del__(self) -> None:
            with suppress(Interrupted):  # as Python itself does with whatever comes up in here
                os.kill(os.getpid(), signal.SIGTERM)

    def work() -> None:
        Clumsy()
        time.sleep(60)

    with interruptible(), pytest.raises(Interrupted):
        work()


def test_nothing_interrupts_once_stopping_has_begun() -> None:
    with interruptible():
        ignore_interruptions()
        os.kill(os.getpid(), signal.SIGTERM)


def test_the_former_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
