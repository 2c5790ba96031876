"""Counting calls to the model against the limits."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

Headers: TypeAlias = Mapping[str, str]
Admit: TypeAlias = Callable[[], Awaitable[Headers]]
"""Counts a call to the model and returns the headers that state the limits, or refuses it with `RateLimited`."""


def admitted(headers: Headers) -> Admit:
    """Return what admits a request that was counted already."""

    async def admit() -> Headers:
        return headers

    return admit
