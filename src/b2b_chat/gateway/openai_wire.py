"""The part of OpenAI's chat completions that we speak: the request, the whole answer, and the stream of chunks.

Source: https://platform.openai.com/docs/api-reference/chat
"""

from collections.abc import Sequence
from typing import Final, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType, structs

from b2b_chat.contract.content import ToolCallPiece
from b2b_chat.contract.options import ChatOptions, options_of
from b2b_chat.contract.schemas import ChatMessage, ChatRequest, ChatResult, FinishReason
from b2b_chat.contract.sse import BOM, Decoder, Event, EventTooLarge
from b2b_chat.gateway.errors import UpstreamFailure
from b2b_chat.gateway.openai_chunks import Completion, Tokens, decode, decode_lines, join_halves, trusted_usage
from b2b_chat.gateway.rejections import code_of_rejection
from b2b_chat.gateway.tool_calls import ToolCalls

MAX_EVENT_BYTES: Final = 1_048_576
"""An event holds one delta; a stream that sends so much without ending one is broken."""

_DONE: Final = b"[DONE]"
_DONE_EVENT: Final = b"data: [DONE]\n\n"
_REPLACEMENT: Final = "\ufffd"
_REASONS: Final[dict[str, FinishReason]] = {
    **{reason: reason for reason in get_args(FinishReason)},
    "function_call": "tool_calls",  # its older name
}


class _StreamOptions(Struct, frozen=True):
    include_usage: bool


class _CompletionRequest(ChatOptions, frozen=True, kw_only=True, omit_defaults=False):
    """What is asked of OpenAI: nothing that shows whom it is for, and nothing to keep."""

    model: str
    messages: list[ChatMessage]
    max_completion_tokens: int
    store: bool
    stream: bool
    stream_options: _StreamOptions | UnsetType


_request_encoder = msgspec.json.Encoder()


def encode_request(request: ChatRequest, *, stream: bool) -> bytes:
    """Return the body that asks OpenAI what the product asked us, for an answer in pieces or in one."""
    return _request_encoder.encode(
        _CompletionRequest(
            model=request.model,
            messages=request.messages,
            max_completion_tokens=request.max_completion_tokens,
            store=False,
            stream=stream,
            stream_options=_StreamOptions(include_usage=True) if stream else UNSET,
            **options_of(request),
        )
    )


def read_whole(body: bytes) -> ChatResult:
    """Return the answer in the body of a call that was not streamed. A server may have streamed it all the same.

    Raises:
        UpstreamFailure: It is an error, malformed, unfinished, empty, or stopped by the content filter.
    """
    if not _is_document(body):
        reader = StreamReader()
        reader.feed(body)
        reader.end()
        return reader.result()
    completion, may_hold_halves = decode(body)
    if not completion.choices:
        raise UpstreamFailure("upstream_malformed")
    choice = completion.choices[0]
    said = choice.message
    text = (said.content or "") + (said.refusal or "")
    calls = ToolCalls()
    if said.tool_calls:
        calls.add(said.tool_calls)
    return _result(
        join_halves(text) if may_hold_halves else text,
        choice.finish_reason,
        completion.usage,
        calls,
        is_refusal=bool(said.refusal and not said.content),
    )


class StreamReader:
    """Reads the events of one stream, as its bytes come, into texts and at last a result.

    A server that answers with a whole document instead is read too; then there is no text on the way.
    """

    def __init__(self) -> None:
        self._events = Decoder(max_event_bytes=MAX_EVENT_BYTES)
        self._document: bytearray | None = None
        self._texts: list[str] = []
        self._half = ""
        self._may_hold_halves = False
        self._tokens: Tokens | None = None
        self._finish_reason: str | None = None
        self._has_ended = False
        self._calls = ToolCalls()
        self.is_refusal = False
        """Whether the text so far is the model's refusal."""
        self.is_done = False
        """Whether the stream has declared itself complete."""

    def feed(self, chunk: bytes) -> str | None:
        """Return the text of the events that this chunk completes; None where it completes none that says anything.

        Raises:
            UpstreamFailure: An event is an error or malformed.
        """
        completions = self._read_plain(chunk)
        if completions is None:
            completions = self._read_chunk(chunk)
        if not completions and not self.is_done:
            return None
        return self._take(completions)

    def take_calls(self) -> Sequence[ToolCallPiece]:
        """Return the pieces of calls that have come since this was last asked."""
        return self._calls.take() if self._calls else ()

    def end(self) -> None:
        """Take note that the body has ended as it should. What its last line holds counts without a blank line too.

        Raises:
            UpstreamFailure: That line is an error.
        """
        self._has_ended = True
        try:
            self._take(self._read_events(self._events.finish()))
        except UpstreamFailure as error:
            if error.code != "upstream_malformed":  # half a line says nothing; `result` judges what came before
                raise

    def result(self) -> ChatResult:
        """Return the whole answer, once the stream has ended.

        Raises:
            UpstreamFailure: The stream ended before the answer did, or the answer is empty.
        """
        if self._document is not None:
            return read_whole(bytes(self._document))
        if not self.is_done and not self._has_ended:
            raise UpstreamFailure("upstream_truncated")
        if self._half:
            self._texts.append(_REPLACEMENT)
        return _result("".join(self._texts), self._finish_reason, self._tokens, self._calls, is_refusal=self.is_refusal)

    def _read_plain(self, chunk: bytes) -> list[Completion] | None:
        """Read a chunk that holds nothing but whole events of a line each, as OpenAI writes them; None for another.

        That is nearly every chunk, and reading its events all at once takes a third of the time.
        """
        is_done = chunk.endswith(_DONE_EVENT)
        lines = chunk[: -len(_DONE_EVENT)] if is_done else chunk
        if not lines.startswith(b"data: ") or not lines.endswith(b"\n\n") or not self._events.is_empty:
            return None
        try:
            completions = decode_lines(lines[6:].replace(b"\n\ndata: ", b"\n"))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        self._events.has_begun = True
        self.is_done = self.is_done or is_done
        return completions

    def _read_chunk(self, chunk: bytes) -> list[Completion]:
        """Read a chunk of any form."""
        if self._document is None and not self._events.has_begun and self._events.is_empty:
            if chunk.isspace():  # keeps the connection alive until a document, or events, begin
                return []
            if _is_document(chunk):
                self._document = bytearray()
        if self._document is not None:
            self._document += chunk
            if len(self._document) > MAX_EVENT_BYTES:
                raise UpstreamFailure("upstream_malformed")
            return []
        try:
            return self._read_events(self._events.feed(chunk))
        except EventTooLarge:
            raise UpstreamFailure("upstream_malformed") from None

    def _read_events(self, events: list[Event]) -> list[Completion]:
        completions = []
        for event in events:
            data = event.data.strip()
            if data == _DONE:
                self.is_done = True
            elif data:
                completion = self._read_event(event.name, data)
                if completion.choices or completion.usage:
                    completions.append(completion)
        return completions

    def _read_event(self, name: str, data: bytes) -> Completion:
        """Read one event. Named ones are keep-alives, errors, or chunks under another name."""
        try:
            completion, may_hold_halves = decode(data)
        except UpstreamFailure as error:
            if name == "message" or error.code != "upstream_malformed":
                raise
            completion, may_hold_halves = Completion([]), False
        if name == "error" and not completion.choices:
            raise UpstreamFailure(code_of_rejection(None, data))
        self._may_hold_halves = self._may_hold_halves or may_hold_halves
        return completion

    def _take(self, completions: list[Completion]) -> str:
        """Note what these chunks say, and return their text."""
        texts: list[str] = []
        for completion in completions:
            if completion.usage is not None:
                self._tokens = completion.usage
            for choice in completion.choices:
                if choice.finish_reason:
                    self._finish_reason = choice.finish_reason
                if choice.delta.content:
                    texts.append(choice.delta.content)
                if choice.delta.refusal:
                    self.is_refusal = self.is_refusal or not (self._texts or texts)
                    texts.append(choice.delta.refusal)
                if choice.delta.tool_calls:
                    self._calls.add(choice.delta.tool_calls)
        text = "".join(texts)
        if text and (self._half or self._may_hold_halves):
            text = self._join(text)
        if text:
            self._texts.append(text)
        return text

    def _join(self, text: str) -> str:
        """Join the halves of characters that were escaped as two, also where they came in two events."""
        text = self._half + text
        self._half = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
        self._may_hold_halves = False
        return join_halves(text.removesuffix(self._half))


def _is_document(body: bytes) -> bool:
    """Return whether this is the start of a JSON document; none of an event stream looks like it."""
    return body.removeprefix(BOM).lstrip()[:1] in {b"{", b"["}


def _result(
    text: str, finish_reason: str | None, tokens: Tokens | None, calls: ToolCalls, *, is_refusal: bool
) -> ChatResult:
    """Judge an answer that has ended."""
    if not finish_reason:
        raise UpstreamFailure("upstream_truncated")
    reason = _REASONS.get(finish_reason)
    if reason is None:  # the server's own word for a failure, or an unknown one
        raise UpstreamFailure("upstream_failed")
    if not text.strip() and not calls:
        raise UpstreamFailure("content_filtered" if reason == "content_filter" else "upstream_empty")
    result = ChatResult(text, trusted_usage(tokens), reason)
    if calls or is_refusal:
        result = structs.replace(result, tool_calls=calls.whole() or UNSET, refusal=is_refusal or UNSET)
    return result
