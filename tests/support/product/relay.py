"""Two product_apis on one database and one Valkey, an answer that a test dictates, and a view of Valkey's traffic."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
from valkey.asyncio import Valkey

from b2b_chat.contract.schemas import ChatResult
from b2b_chat.kit.settings import Secret
from b2b_chat.product.chat.relay.bus import EVERYBODY
from b2b_chat.product.chat.relay.messages import Follow, Message, Piece, decode, encode
from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.database.world import Person
from support.gateway.fake import EVENTS_HEAD, USAGE, Call, delta, final, whole
from support.product.app import Client, client_of, served_product

FAST: Final = {"RELAY_HEARTBEAT_SECONDS": "0.25", "RELAY_ASK_TIMEOUT_SECONDS": "0.3", "VALKEY_TIMEOUT_SECONDS": "0.5"}
"""Time-outs that a test can wait for."""


class Two(NamedTuple):
    """A person's clients of two product_apis."""

    here: Client
    there: Client


@contextmanager
def running_valkey(folder: Path) -> Iterator[EmbeddedValkey]:
    """A Valkey of this test's own, which may be stopped and started."""
    server = EmbeddedValkey(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@asynccontextmanager
async def two_products(
    database_url: str, gateway_url: str, valkey: EmbeddedValkey, **changes: object
) -> AsyncIterator[tuple[str, str]]:
    """The base URLs of two product_apis that share a database and a Valkey; `changes` are settings by field."""
    settings = {
        "chat_resume_window_seconds": 30.0,
        **{name.lower(): float(value) for name, value in FAST.items()},
        **changes,
        "valkey_url": Secret(valkey.url),
    }
    async with (
        served_product(database_url, gateway_url, **settings) as here,
        served_product(database_url, gateway_url, **settings) as there,
    ):
        yield here, there


@asynccontextmanager
async def clients_of(urls: tuple[str, str], person: Person) -> AsyncIterator[Two]:
    """A person's clients of two product_apis."""
    async with client_of(urls[0], person) as here, client_of(urls[1], person) as there:
        yield Two(here, there)


class Dictation:
    """Answers every call with what the test says, piece by piece."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[str | None] = asyncio.Queue()
        self.text = ""

    def say(self, text: str) -> None:
        """The next piece."""
        self.text += text
        self._pieces.put_nowait(text)

    def end(self) -> None:
        """That was all."""
        self._pieces.put_nowait(None)

    async def __call__(self, call: Call) -> None:
        """Answer one call."""
        speaking = asyncio.create_task(self._speak(call))
        leaving = asyncio.create_task(call.wait_until_left())
        await asyncio.wait({speaking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        for task in (speaking, leaving):
            task.cancel()
        await asyncio.wait({speaking, leaving})

    async def _speak(self, call: Call) -> None:
        if call.request.stream:
            await call.send(EVENTS_HEAD)
        while (piece := await self._pieces.get()) is not None:
            if call.request.stream:
                await call.send_chunk(delta(piece))
        if call.request.stream:
            await call.send_chunk(final(self.text))
            await call.send_chunk(b"")
        else:
            await call.send(whole(200, msgspec.json.encode(ChatResult(self.text, USAGE))))


class Overheard:
    """What processes said to each other, by channel."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Message]] = []

    @property
    def asks(self) -> list[Follow]:
        """The questions to all."""
        return [message for _, message in self.messages if isinstance(message, Follow)]

    @property
    def pieces(self) -> list[Piece]:
        """The text that was sent."""
        return [message for _, message in self.messages if isinstance(message, Piece)]


@asynccontextmanager
async def overhearing(valkey: EmbeddedValkey) -> AsyncIterator[Overheard]:
    """Listen to all that passes Valkey between processes while the block runs."""
    overheard = Overheard()
    async with connection_to(valkey) as client, client.pubsub() as pubsub:
        await pubsub.psubscribe(f"{EVERYBODY}*")

        async def listen() -> None:
            async for received in pubsub.listen():
                if received["type"] == "pmessage":
                    overheard.messages.append((received["channel"].decode(), decode(received["data"])))

        listening = asyncio.create_task(listen())
        try:
            yield overheard
        finally:
            listening.cancel()
            await asyncio.wait({listening})


class Speaker:
    """A test that takes part as a process that writes answers."""

    def __init__(self, client: Any) -> None:
        self.inbox = f"{EVERYBODY}:test"
        self.asks: asyncio.Queue[Follow] = asyncio.Queue()
        self._client = client

    async def asked(self, *, position: int) -> Follow:
        """The next question for text from a position on."""
        async with asyncio.timeout(10):
            while (ask := await self.asks.get()).position != position:
                pass
        return ask

    async def tell(self, ask: Follow, message: Message | bytes) -> None:
        """Reply to the asking process."""
        await self._client.publish(ask.inbox, message if isinstance(message, bytes) else encode(message))


@asynccontextmanager
async def speaking(valkey: EmbeddedValkey) -> AsyncIterator[Speaker]:
    """Be asked, and answer."""
    async with connection_to(valkey) as client, client.pubsub() as pubsub:
        speaker = Speaker(client)
        await pubsub.subscribe(EVERYBODY)

        async def listen() -> None:
            async for received in pubsub.listen():
                if received["type"] == "message" and isinstance(message := decode(received["data"]), Follow):
                    speaker.asks.put_nowait(message)

        listening = asyncio.create_task(listen())
        try:
            yield speaker
        finally:
            listening.cancel()
            await asyncio.wait({listening})


def connection_to(valkey: EmbeddedValkey) -> Any:
    """The library's client, without time limits."""
    return Valkey(unix_socket_path=urlsplit(valkey.url).path, socket_timeout=None)
