"""An answer in OpenAI's form as it is written: chunks, the last one with `finish_reason`, then `[DONE]`."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from b2b_chat.contract.content import ToolCallPiece
from b2b_chat.contract.schemas import MODEL_GPT_5_2
from b2b_chat.contract.sse import escaped
from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.failures import AnswerFailed
from b2b_chat.product.chat.schemas import ChatAnswer
from b2b_chat.product.completions.answers import charge_of, completion_id, created_at, finish_reason_of, usage_of
from b2b_chat.product.openai_errors import openai_error

DONE: Final = b"data: [DONE]\n\n"
_encode: Final = msgspec.json.Encoder().encode


class FunctionPiece(Struct, frozen=True, omit_defaults=True):
    """A piece of what a function is called with."""

    arguments: str | UnsetType
    name: str | UnsetType = UNSET


class CallPiece(Struct, frozen=True):
    """A piece of a call of a tool."""

    index: int
    function: FunctionPiece
    id: str | UnsetType = UNSET
    type: str | UnsetType = UNSET


class Chunks:
    """The chunks of one answer.

    All but the piece itself is the same in each chunk of text, so it is made once.
    """

    def __init__(self, log: AnswerLog, *, with_usage: bool) -> None:
        self._with_usage = with_usage
        head = {
            "id": completion_id(log.assistant_message_id),
            "object": "chat.completion.chunk",
            "created": created_at(log.assistant_message_id),
            "model": MODEL_GPT_5_2,
            "service_tier": None,
            "system_fingerprint": None,
        }
        self._head = _encode(head)[:-1]
        self._before_delta = b"data: " + self._head + b',"choices":[{"index":0,"delta":'
        # Where the usage is asked for, each chunk before its own says that it has none.
        self._tail = b',"usage":null}\n\n' if with_usage else b"}\n\n"
        self._after_delta = b',"logprobs":null,"finish_reason":null}]' + self._tail

    @property
    def opening(self) -> bytes:
        """The first chunk, which names the role."""
        return self._chunk(b'{"role":"assistant","content":"","refusal":null}')

    def text(self, text: str, *, is_refusal: bool) -> bytes:
        """Return a chunk with a piece of the text."""
        name = b'{"refusal":%b}' if is_refusal else b'{"content":%b}'
        return escaped(self._chunk(name % _encode(text)))

    def calls(self, pieces: Sequence[ToolCallPiece]) -> bytes:
        """Return a chunk for each piece of a call: SDKs take two pieces in one chunk for two calls."""
        return b"".join(map(self._call, pieces))

    def _call(self, piece: ToolCallPiece) -> bytes:
        kind = UNSET if piece.name is UNSET else "function"
        told = CallPiece(piece.index, FunctionPiece(piece.arguments, piece.name), piece.id, kind)
        return escaped(self._chunk(b'{"tool_calls":[%b]}' % _encode(told)))

    def end(self, answer: ChatAnswer) -> bytes:
        """Return what follows the last piece: why it ended and what it cost, the usage where asked for, the end."""
        ended = b"data: %b" % self._head + b',"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":%b}]' % (
            _encode(finish_reason_of(answer))
        )
        ended += b',"b2b":%b' % _encode(charge_of(answer)) + self._tail
        if self._with_usage:
            ended += b'data: %b,"choices":[],"usage":%b}\n\n' % (self._head, _encode(usage_of(answer)))
        return ended + DONE

    def failure(self, error: Exception) -> bytes:
        """Return why a stream ends without an answer; no `[DONE]` follows, so that no client takes it for whole.

        Raises:
            Exception: It is a defect, which cuts the stream.
        """
        if not isinstance(error, AnswerFailed):
            raise error
        return b"data: %b\n\n" % _encode(openai_error(error))

    def _chunk(self, delta: bytes) -> bytes:
        return self._before_delta + delta + self._after_delta
