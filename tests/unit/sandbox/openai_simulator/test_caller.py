import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from b2b_chat.sandbox.openai_simulator.caller import Caller, CallerGone


async def test_a_connection_that_is_no_more_cannot_be_dropped() -> None:
    async def nothing_comes() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def nothing_is_sent(message: MutableMapping[str, Any]) -> None:
        pytest.fail(f"sent {message}")

    caller = Caller({"client": ("127.0.0.1", "1")}, nothing_comes, nothing_is_sent)
    try:
        with pytest.raises(CallerGone):
            await caller.drop("reset")
    finally:
        caller.unwatch()
