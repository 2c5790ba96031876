"""A response as OpenAI's typed events, in their order, while the answer is written."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from b2b_chat.contract.content import FunctionCall, ToolCall, ToolCallPiece
from b2b_chat.contract.sse import encode
from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.failures import AnswerFailed
from b2b_chat.product.chat.schemas import ChatAnswer
from b2b_chat.product.responses.answers import (
    begun,
    call_item,
    content_part,
    ended,
    failed,
    incomplete_details,
    message_id,
    message_item,
)
from b2b_chat.product.responses.schemas import ItemStatus, ResponseCreate, ResponseObject

_encode: Final = msgspec.json.Encoder().encode


class _OpenCall:
    """A call of a function that is being written."""

    def __init__(self, output_index: int, piece: ToolCallPiece) -> None:
        self.output_index = output_index
        self.id, self.name = piece.id or "", piece.name or ""
        self.arguments: list[str] = []

    @property
    def call(self) -> ToolCall:
        """What there is of it."""
        return ToolCall(self.id, FunctionCall(self.name, "".join(self.arguments)))


class Events:
    """The events of one response. Items are opened when their first piece comes, and closed at the end."""

    def __init__(self, log: AnswerLog, request: ResponseCreate) -> None:
        self._log = log
        self._response = begun(request, log.assistant_message_id)
        self._number = 0
        self._items = 0
        self._message_index: int | None = None
        self._texts: list[str] = []
        self._is_refusal = False
        self._calls: dict[int, _OpenCall] = {}
        self._before_text = b""

    @property
    def opening(self) -> bytes:
        """The events before anything is written."""
        self._number = 0
        return self._lifecycle("response.created", self._response) + self._lifecycle(
            "response.in_progress", self._response
        )

    def calls(self, pieces: Sequence[ToolCallPiece]) -> bytes:
        """Return the events of pieces of calls, one after the other."""
        return b"".join(self._call(piece) for piece in pieces)

    def failure(self, error: Exception) -> bytes:
        """Return the event that ends a response without an answer.

        Raises:
            Exception: It is a defect, which cuts the stream.
        """
        if not isinstance(error, AnswerFailed):
            raise error
        return self._lifecycle("response.failed", failed(self._response, error))

    def text(self, text: str, *, is_refusal: bool) -> bytes:
        """Return the events of a piece of the text."""
        opened = b""
        if self._message_index is None:
            self._is_refusal = is_refusal
            self._message_index = self._next_item()
            item = message_item(self._log.assistant_message_id, "", "in_progress", is_refusal=is_refusal)
            place = self._content_place()
            opened = self._event(
                "response.output_item.added", output_index=self._message_index, item={**item, "content": []}
            ) + self._event("response.content_part.added", **place, part=item["content"][0])
            kind = "response.refusal.delta" if is_refusal else "response.output_text.delta"
            fields: dict[str, Any] = {"type": kind, **place} if is_refusal else {"type": kind, **place, "logprobs": []}
            # All but the text and its number is the same in each of these events.
            self._kind, self._before_text = kind.encode(), _encode(fields)[:-1]
        self._texts.append(text)
        data = b'%b,"delta":%b,"sequence_number":%d}' % (self._before_text, _encode(text), self._next_number())
        return opened + encode(self._kind, data)

    def _call(self, piece: ToolCallPiece) -> bytes:
        opened = b""
        if piece.index not in self._calls:
            self._calls[piece.index] = call = _OpenCall(self._next_item(), piece)
            item = call_item(self._log.assistant_message_id, piece.index, call.call, "in_progress")
            opened = self._event("response.output_item.added", output_index=call.output_index, item=item)
        call = self._calls[piece.index]
        if not piece.arguments:
            return opened
        call.arguments.append(piece.arguments)
        item = call_item(self._log.assistant_message_id, piece.index, call.call, "in_progress")
        return opened + self._event(
            "response.function_call_arguments.delta",
            item_id=item["id"],
            output_index=call.output_index,
            delta=piece.arguments,
        )

    def end(self, answer: ChatAnswer) -> bytes:
        """Return the events that follow the last piece."""
        status: ItemStatus = "completed" if incomplete_details(answer) is None else "incomplete"
        done: dict[int, tuple[bytes, dict[str, Any]]] = {}
        if self._message_index is not None:
            done[self._message_index] = self._message_done(status)
        for index, call in self._calls.items():
            item = call_item(self._log.assistant_message_id, index, call.call, status)
            closed = self._event(
                "response.function_call_arguments.done",
                item_id=item["id"],
                output_index=call.output_index,
                name=item["name"],
                arguments=item["arguments"],
            ) + self._event("response.output_item.done", output_index=call.output_index, item=item)
            done[call.output_index] = closed, item
        closed = b"".join(done[index][0] for index in sorted(done))
        response = ended(self._response, answer, [done[index][1] for index in sorted(done)])
        return closed + self._lifecycle(f"response.{response.status}", response)

    def _message_done(self, status: ItemStatus) -> tuple[bytes, dict[str, Any]]:
        text, place = "".join(self._texts), self._content_place()
        item = message_item(self._log.assistant_message_id, text, status, is_refusal=self._is_refusal)
        if self._is_refusal:
            said = self._event("response.refusal.done", **place, refusal=text)
        else:
            said = self._event("response.output_text.done", **place, text=text, logprobs=[])
        part = content_part(text, is_refusal=self._is_refusal)
        said += self._event("response.content_part.done", **place, part=part)
        said += self._event("response.output_item.done", output_index=self._message_index, item=item)
        return said, item

    def _content_place(self) -> dict[str, Any]:
        id_ = message_id(self._log.assistant_message_id)
        return {"item_id": id_, "output_index": self._message_index, "content_index": 0}

    def _lifecycle(self, kind: str, response: ResponseObject) -> bytes:
        return self._event(kind, response=response)

    def _event(self, kind: str, **fields: Any) -> bytes:
        data = {"type": kind, **fields, "sequence_number": self._next_number()}
        return encode(kind.encode(), _encode(data))

    def _next_number(self) -> int:
        self._number += 1
        return self._number - 1

    def _next_item(self) -> int:
        self._items += 1
        return self._items - 1
