"""What the garbage collector need not do."""

import gc
from typing import Final

_ALLOCATIONS: Final = 20_000
_YOUNGER_ROUNDS: Final = 50


def spare_collector() -> None:
    """Let it leave alone what is here now, and look less often at what comes. Called once, when an app has started.

    What is here stays: modules, classes, routes. What comes with a request and goes with it is freed by counting
    references; Python's own pace, a look at every 700 new objects, is a tenth of a call's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, _YOUNGER_ROUNDS, _YOUNGER_ROUNDS)
