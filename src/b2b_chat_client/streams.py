"""An answer while it is written, as its reader sees it."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from b2b_chat_client.answering import answering
from b2b_chat_client.async_connection import AsyncConnection
from b2b_chat_client.connection import Connection
from b2b_chat_client.errors import AnswerRestarted
from b2b_chat_client.events import Delta, Restart, Start, StreamEvent
from b2b_chat_client.reading import Reading
from b2b_chat_client.types import ChatAnswer

if TYPE_CHECKING:
    from typing_extensions import Self


class _Read:
    """What both kinds of stream know of their answer."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    @property
    def text(self) -> str:
        """The text that has come so far."""
        return self._reading.text

    @property
    def start(self) -> Start | None:
        """The ids of the conversation and of both messages, once the server has accepted the message."""
        return self._reading.start

    @property
    def final(self) -> ChatAnswer | None:
        """The whole answer, once it has ended."""
        return self._reading.answer

    @property
    def client_message_id(self) -> str | None:
        """The message's own name. Sent again under it, a message is answered and charged once."""
        return None if self._reading.message is None else self._reading.message.client_message_id

    @property
    def assistant_message_id(self) -> str | None:
        """The answer's id, once it is known."""
        return self._reading.assistant_message_id

    def _restarted(self) -> AnswerRestarted:
        error = AnswerRestarted("The answer broke off and is written anew; the text read so far is void.")
        error.client_message_id = self.client_message_id
        error.assistant_message_id = self.assistant_message_id
        return error


class AnswerStream(_Read):
    """The events of one answer: iterate over it once. Use it in a `with` block, which hangs up at its end.

    Connections that break are opened anew by themselves, and nothing is lost or shown twice.
    """

    def __init__(self, connection: Connection, reading: Reading) -> None:
        super().__init__(reading)
        flow = answering(reading, connection.configuration.retries())
        self._events: Generator[StreamEvent, None, None] = connection.driving(flow)

    def __iter__(self) -> Iterator[StreamEvent]:
        return self._events

    def texts(self) -> Iterator[str]:
        """Yield the pieces of the text.

        Raises:
            AnswerRestarted: The pieces before are void; `answer()` still brings the whole answer.
        """
        for event in self._events:
            if isinstance(event, Delta):
                yield event.text
            elif isinstance(event, Restart):
                raise self._restarted()

    def answer(self) -> ChatAnswer:
        """Read to the end, and return the whole answer."""
        for _ in self._events:
            pass
        return _ended(self._reading)

    def close(self) -> None:
        """Hang up. The answer goes on and is kept; `chat.stop` ends it."""
        self._events.close()

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncAnswerStream(_Read):
    """The events of one answer: iterate over it once. Use it in an `async with` block, which hangs up at its end.

    Connections that break are opened anew by themselves, and nothing is lost or shown twice.
    """

    def __init__(self, connection: AsyncConnection, reading: Reading) -> None:
        super().__init__(reading)
        flow = answering(reading, connection.configuration.retries())
        self._events: AsyncGenerator[StreamEvent, None] = connection.driving(flow)

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self._events

    async def texts(self) -> AsyncIterator[str]:
        """Yield the pieces of the text.

        Raises:
            AnswerRestarted: The pieces before are void; `answer()` still brings the whole answer.
        """
        async for event in self._events:
            if isinstance(event, Delta):
                yield event.text
            elif isinstance(event, Restart):
                raise self._restarted()

    async def answer(self) -> ChatAnswer:
        """Read to the end, and return the whole answer."""
        async for _ in self._events:
            pass
        return _ended(self._reading)

    async def aclose(self) -> None:
        """Hang up. The answer goes on and is kept; `chat.stop` ends it."""
        await self._events.aclose()

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _ended(reading: Reading) -> ChatAnswer:
    if reading.answer is None:
        raise RuntimeError("the stream was closed before the answer ended")
    return reading.answer
