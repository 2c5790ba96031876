"""Sending messages and reading their answers."""

from uuid import UUID, uuid4

from msgspec import UNSET

from b2b_chat_client import async_resources, resources
from b2b_chat_client.answering import answering
from b2b_chat_client.errors import UnexpectedResponse
from b2b_chat_client.reading import Message, Reading
from b2b_chat_client.streams import AnswerStream, AsyncAnswerStream
from b2b_chat_client.types import ChatAnswer


class Chat(resources.Chat):
    """Messages and their answers."""

    def send(
        self,
        text: str,
        *,
        conversation_id: UUID | str | None = None,
        client_message_id: str | None = None,
        max_completion_tokens: int | None = None,
    ) -> ChatAnswer:
        """Send a message, and return the whole answer.

        Args:
            text: Of the message.
            conversation_id: Where it belongs; without it a new conversation begins.
            client_message_id: Your name for the message: sent again under it, it is answered and charged once. Without
                it one is made, which all attempts share and which every error carries.
            max_completion_tokens: The longest answer that you want, hidden reasoning included.

        Raises:
            B2BChatError: As `b2b_chat_client.errors` has it.
        """
        reading = _reading(text, conversation_id, client_message_id, max_completion_tokens)
        self._connection.run(answering(reading, self._connection.configuration.retries()))
        return _answer_of(reading)

    def stream(
        self,
        text: str,
        *,
        conversation_id: UUID | str | None = None,
        client_message_id: str | None = None,
        max_completion_tokens: int | None = None,
    ) -> AnswerStream:
        """Send a message, and return its answer as it is written. The arguments are those of `send`.

        Nothing is sent before the stream is read.
        """
        return AnswerStream(self._connection, _reading(text, conversation_id, client_message_id, max_completion_tokens))

    def follow(self, assistant_message_id: UUID | str) -> AnswerStream:
        """Read an answer from its start, while it is written or afterwards."""
        return AnswerStream(self._connection, Reading(None, assistant_message_id))


class AsyncChat(async_resources.Chat):
    """Messages and their answers."""

    async def send(
        self,
        text: str,
        *,
        conversation_id: UUID | str | None = None,
        client_message_id: str | None = None,
        max_completion_tokens: int | None = None,
    ) -> ChatAnswer:
        """Send a message, and return the whole answer.

        Args:
            text: Of the message.
            conversation_id: Where it belongs; without it a new conversation begins.
            client_message_id: Your name for the message: sent again under it, it is answered and charged once. Without
                it one is made, which all attempts share and which every error carries.
            max_completion_tokens: The longest answer that you want, hidden reasoning included.

        Raises:
            B2BChatError: As `b2b_chat_client.errors` has it.
        """
        reading = _reading(text, conversation_id, client_message_id, max_completion_tokens)
        await self._connection.run(answering(reading, self._connection.configuration.retries()))
        return _answer_of(reading)

    def stream(
        self,
        text: str,
        *,
        conversation_id: UUID | str | None = None,
        client_message_id: str | None = None,
        max_completion_tokens: int | None = None,
    ) -> AsyncAnswerStream:
        """Send a message, and return its answer as it is written. The arguments are those of `send`.

        Nothing is sent before the stream is read.
        """
        return AsyncAnswerStream(
            self._connection, _reading(text, conversation_id, client_message_id, max_completion_tokens)
        )

    def follow(self, assistant_message_id: UUID | str) -> AsyncAnswerStream:
        """Read an answer from its start, while it is written or afterwards."""
        return AsyncAnswerStream(self._connection, Reading(None, assistant_message_id))


def _reading(
    text: str, conversation_id: UUID | str | None, client_message_id: str | None, max_completion_tokens: int | None
) -> Reading:
    longest = UNSET if max_completion_tokens is None else max_completion_tokens
    return Reading(Message(client_message_id or str(uuid4()), text, conversation_id, longest))


def _answer_of(reading: Reading) -> ChatAnswer:
    if reading.answer is None:
        raise UnexpectedResponse("The answer has no end.")
    return reading.answer
