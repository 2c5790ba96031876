"""What a reader has of an answer, and which request brings the rest.

Every event of an answer has the id `<attempt>-<offset>`, the offset being how many characters of the text had been
sent by its end. So the reader can see where a piece belongs, whatever was cut or sent twice.
"""

import re
from typing import Any, Final
from uuid import UUID

import msgspec

from b2b_chat_client.call import path
from b2b_chat_client.errors import AnswerFailed, B2BChatError, ConnectionFailed
from b2b_chat_client.events import Delta, Restart, Start, StreamEvent
from b2b_chat_client.events import Final as FinalEvent
from b2b_chat_client.responses import converted, decoded, failure_of
from b2b_chat_client.sse import ServerEvent
from b2b_chat_client.steps import Request
from b2b_chat_client.types import ChatAnswer

_EVENT_ID: Final = re.compile(r"([0-9]{1,9})-([0-9]{1,9})(-end)?")


class Message(msgspec.Struct, frozen=True):
    """A message as it is sent, under one id however often."""

    client_message_id: str
    text: str
    conversation_id: UUID | str | None = None
    max_completion_tokens: int | msgspec.UnsetType = msgspec.UNSET
    stream: bool = True
    restart: bool = True


class Reading:
    """One answer as far as it has been read.

    Args:
        message: Whose answer it is; it is sent with each attempt. None for an answer that is followed by its id.
        assistant_message_id: Of the answer, where that is known from the beginning.
    """

    def __init__(self, message: Message | None, assistant_message_id: UUID | str | None = None) -> None:
        self.message = message
        self.assistant_message_id = None if assistant_message_id is None else str(assistant_message_id)
        self.start: Start | None = None
        self.answer: ChatAnswer | None = None
        self._pieces: list[str] = []
        self._length = 0
        self._attempt: int | None = None
        self._last_event_id: str | None = None
        self._sends = message is not None
        """Whether the next request sends the message; else it follows the answer."""

    @property
    def text(self) -> str:
        """The text so far."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def request(self) -> Request:
        """Return the request that brings what is missing."""
        headers = {"Accept": "text/event-stream"}
        if self._last_event_id is not None:
            headers["Last-Event-ID"] = self._last_event_id
        if self._sends:
            headers["Content-Type"] = "application/json"
            return Request("POST", "/v1/chat", msgspec.json.encode(self.message), headers)
        events = path("/v1/chat/{}/events?restart=true", self.assistant_message_id)
        return Request("GET", events, headers=headers)

    def has_failed(self, error: B2BChatError) -> None:
        """Record why the last request brought no end, and put the ids on the error.

        A cut stream is followed; an answer that failed is written anew when its message is sent again.

        Raises:
            AnswerFailed: The answer failed, and there is no message to send again.
        """
        if self.message is not None:
            error.client_message_id = self.message.client_message_id
        error.assistant_message_id = self.assistant_message_id
        if isinstance(error, AnswerFailed) and self.message is None:
            raise error
        is_cut = isinstance(error, ConnectionFailed) and self.assistant_message_id is not None
        self._sends = self.message is not None and not is_cut

    def located(self, content_location: str | None) -> None:
        """Learn the answer's id from the header of a response that tells where it is."""
        found = re.fullmatch(r"/v1/chat/([0-9a-f-]{36})/events", content_location or "")
        if found is not None:
            self.assistant_message_id = found[1]

    def take(self, event: ServerEvent) -> list[StreamEvent]:
        """Return what an event brings that the reader has not had.

        Raises:
            AnswerFailed: It says that the answer has failed.
            ConnectionFailed: A piece before it is missing.
        """
        place = _EVENT_ID.fullmatch(event.id or "")
        if place is None:
            return []  # a kind of event that this client does not know
        attempt, offset = int(place[1]), int(place[2])
        news = self._begin(attempt)
        if event.name == "start":
            news += self._started(decoded(event.data, Start))
        elif event.name == "delta":
            news += self._piece(decoded(event.data, Delta).text, offset)
        elif event.name == "final":
            news += self._end(decoded(event.data, dict[str, Any]))
        elif event.name == "error":
            raise failure_of(event.data)
        self._last_event_id = event.id
        return news

    def _started(self, start: Start) -> list[StreamEvent]:
        """Show the ids once: a new attempt has the same."""
        is_known = self.start is not None
        self.start = start
        self.assistant_message_id = str(start.assistant_message_id)
        return [] if is_known else [start]

    def _begin(self, attempt: int) -> list[StreamEvent]:
        """Drop the text of an attempt before."""
        is_anew = self._attempt is not None and attempt != self._attempt
        self._attempt = attempt
        return self._drop(attempt) if is_anew else []

    def _drop(self, attempt: int) -> list[StreamEvent]:
        had_text = self._length > 0
        self._pieces, self._length = [], 0
        return [Restart(attempt)] if had_text else []

    def _piece(self, text: str, offset: int) -> list[StreamEvent]:
        begins_at = offset - len(text)
        if begins_at > self._length:
            raise ConnectionFailed("A piece of the answer is missing; it is requested again.")
        fresh = text[self._length - begins_at :]
        self._pieces.append(fresh)
        self._length += len(fresh)
        return [Delta(fresh)] if fresh else []

    def _end(self, final: dict[str, Any]) -> list[StreamEvent]:
        ids = {} if self.start is None else msgspec.to_builtins(self.start)
        self.answer = converted({**ids, **final}, ChatAnswer)
        if self.text == self.answer.text:
            return [FinalEvent(self.answer)]
        # What is stored is what was charged: the reader ends with that.
        news = [] if self.answer.text.startswith(self.text) else self._drop(self._attempt or 0)
        rest = self.answer.text[self._length :]
        self._pieces.append(rest)
        self._length += len(rest)
        return [*news, Delta(rest), FinalEvent(self.answer)]
