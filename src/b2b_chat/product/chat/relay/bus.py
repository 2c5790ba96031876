"""Messages between processes by Valkey's pub/sub: an inbox for each process and a channel for all.

A message reaches the processes that listen at that moment, and is stored nowhere. A broken connection loses messages;
the users of the bus are notified, and must ask again.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec
import structlog
from prometheus_client import Gauge
from valkey.exceptions import ValkeyError

from b2b_chat.kit.valkey import Valkey, ValkeyUnavailable
from b2b_chat.product.chat.relay.messages import Alive, Message, decode, encode

EVERYBODY: Final = "b2b-chat:relay:1"
"""The channel that all processes listen to. The number is that of the messages' form."""
_RECONNECT_SECONDS: Final = 0.5
_BATCH_MESSAGES: Final = 256
_OUTAGES: Final = (ValkeyUnavailable, ValkeyError, OSError)
_DOWN = Gauge("product_relay_down", "1 while this process cannot hear the others; 0 also where there are none.")

log = structlog.get_logger(__name__)


class BusDown(Exception):
    """Valkey cannot be reached now."""


class Bus:
    """Publishes messages, and hands incoming ones to its listeners.

    After `silence_seconds` without a message of its own, it takes its connection for broken.
    """

    def __init__(self, valkey: Valkey, *, silence_seconds: float) -> None:
        self.inbox = f"{EVERYBODY}:{secrets.token_hex(12)}"
        self.is_up = False
        self.on_message: list[Callable[[Message], None]] = []
        self.on_change: list[Callable[[], None]] = []
        """Called when the bus has come up or gone down."""
        self._is_told = False
        """Whether the log knows of the outage."""
        self._valkey = valkey
        self._silence_seconds = silence_seconds
        self._outgoing: list[tuple[str, bytes, asyncio.Future[None]]] = []
        self._ready = asyncio.Event()

    async def publish(self, channel: str, message: Message) -> None:
        """Send a message, in the order of calls; return when Valkey has it.

        Raises:
            BusDown: It may not have been sent.
        """
        if not self.is_up:
            raise BusDown
        sent = asyncio.get_running_loop().create_future()
        self._outgoing.append((channel, encode(message), sent))
        self._ready.set()
        await sent

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Stay connected, while Valkey can be reached, until the block ends."""
        _DOWN.set(1)
        running = asyncio.create_task(self._run())
        try:
            yield
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def _run(self) -> None:
        while True:
            parts = [asyncio.create_task(part) for part in (self._listen(), self._speak(), self._greet())]
            try:
                await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
                if not self._is_told:
                    self._is_told = True
                    log.warning("relay_down")
            finally:
                for part in parts:
                    part.cancel()
                self._fall(await asyncio.gather(*parts, return_exceptions=True))
            await asyncio.sleep(_RECONNECT_SECONDS)

    def _fall(self, outcomes: list[BaseException | None]) -> None:
        """Be down until there is another connection; what was on its way may be lost."""
        for error in outcomes:
            if isinstance(error, Exception) and not isinstance(error, _OUTAGES):
                log.error("relay_defect", exc_info=error)
        outgoing, self._outgoing = self._outgoing, []
        for _, _, sent in outgoing:
            _refuse(sent)
        self._change(is_up=False)

    def _change(self, *, is_up: bool) -> None:
        if is_up != self.is_up:
            self.is_up = is_up
            _DOWN.set(not is_up)
            for notify in self.on_change:
                notify()

    async def _listen(self) -> None:
        async with self._valkey.listening(EVERYBODY, self.inbox) as pubsub:
            awaited = 2
            while True:
                received = await pubsub.get_message(timeout=self._silence_seconds)
                if received is None:
                    raise TimeoutError
                if received["type"] == "message":
                    self._receive(received["data"])
                elif received["type"] == "subscribe":
                    awaited -= 1
                    if not awaited:
                        self._is_told = False
                        log.info("relay_up")
                        self._change(is_up=True)

    def _receive(self, data: bytes) -> None:
        try:
            message = decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            log.warning("relay_message_unknown")
            return
        for take in self.on_message:
            take(message)

    async def _speak(self) -> None:
        while True:
            await self._ready.wait()
            batch, self._outgoing = self._outgoing[:_BATCH_MESSAGES], self._outgoing[_BATCH_MESSAGES:]
            if not self._outgoing:
                self._ready.clear()
            try:
                async with self._valkey.asking() as client, client.pipeline(transaction=False) as pipeline:
                    for channel, data, _ in batch:
                        pipeline.publish(channel, data)
                    await pipeline.execute()
            except BaseException:
                for _, _, sent in batch:
                    _refuse(sent)
                raise
            for _, _, sent in batch:
                if not sent.done():
                    sent.set_result(None)

    async def _greet(self) -> None:
        """Send word to our own inbox: where it does not arrive, the subscription is dead though nothing says so."""
        while True:
            await asyncio.sleep(self._silence_seconds / 3)
            if self.is_up:
                with suppress(BusDown):
                    await self.publish(self.inbox, Alive(self.inbox, []))


def _refuse(sent: asyncio.Future[None]) -> None:
    if not sent.done():
        sent.set_exception(BusDown())
