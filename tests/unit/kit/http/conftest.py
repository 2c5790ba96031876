import asyncio
from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each test on both event loops: their transports differ in what they allow and when they report."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
