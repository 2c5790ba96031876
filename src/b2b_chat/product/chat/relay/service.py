"""The relay of a process: what it shares of its runs, and what it follows of the others'."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from b2b_chat.kit.background import running
from b2b_chat.kit.valkey import Valkey
from b2b_chat.product.chat.relay.bus import Bus, BusDown
from b2b_chat.product.chat.relay.following import Following
from b2b_chat.product.chat.relay.sharing import Sharing
from b2b_chat.product.chat.runs import Runs
from b2b_chat.product.settings import ProductSettings


class Relay:
    """Both sides, and the bus between them and the other processes."""

    def __init__(self, valkey: Valkey, runs: Runs, settings: ProductSettings) -> None:
        self._bus = Bus(valkey, silence_seconds=settings.relay_gone_seconds)
        self._sharing = Sharing(runs, self._bus, settings)
        self._heartbeat_seconds = settings.relay_heartbeat_seconds
        self.following = Following(self._bus, settings)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen and serve until the block ends."""
        async with self._bus.open(), running(self._beat()):
            try:
                yield
            finally:
                await self._sharing.finish()

    async def _beat(self) -> None:
        while True:
            for beat in (self._sharing.beat, self.following.beat):
                with suppress(BusDown):
                    await beat()
            await asyncio.sleep(self._heartbeat_seconds)
