"""Garbage-collector tuning for long-lived workers."""

import gc
from typing import Final

_ALLOCATIONS: Final = 20_000
_YOUNGER_ROUNDS: Final = 50


def spare_collector() -> None:
    """Freeze the start-up heap and raise the collector's thresholds. Called once, when an app has started.

    The start-up heap stays: modules, classes, routes. The objects of a request are freed by counting references.
    Python's default, a collection every 700 new objects, takes a tenth of a call's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, _YOUNGER_ROUNDS, _YOUNGER_ROUNDS)
