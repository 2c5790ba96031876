"""The part of OpenAI's chat completions that we speak: the request, the whole answer, and the stream of chunks.

Source: https://platform.openai.com/docs/api-reference/chat
"""

import re
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from b2b_chat.contract.schemas import ChatMessage, ChatRequest, ChatResult, Usage
from b2b_chat.contract.sse import Decoder, EventTooLarge
from b2b_chat.gateway.errors import UpstreamFailure, code_of_rejection

MAX_EVENT_BYTES: Final = 1_048_576
"""An event holds one delta; a stream that sends so much without ending one is broken."""

_DONE: Final = b"[DONE]"
_DONE_EVENT: Final = b"data: [DONE]\n\n"
_SURROGATES = re.compile(rb"\\\\|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F]..)")


class _StreamOptions(Struct, frozen=True):
    include_usage: bool


class _CompletionRequest(Struct, frozen=True, kw_only=True):
    """What is asked of OpenAI: nothing that tells whom it is for, and nothing to keep."""

    model: str
    messages: list[ChatMessage]
    max_completion_tokens: int
    store: bool
    stream: bool
    stream_options: _StreamOptions | UnsetType


class _Error(Struct, frozen=True, gc=False):
    code: str | int | None = None
    type: str | None = None


class _Words(Struct, frozen=True, gc=False):
    """A message, or a part of one."""

    content: str | None = None
    refusal: str | None = None

    @property
    def text(self) -> str:
        """What the model said. It refuses in words of its own, which are its answer."""
        return (self.content or "") + (self.refusal or "")


class _Choice(Struct, frozen=True, gc=False):
    message: _Words = _Words()
    delta: _Words = _Words()
    finish_reason: str | None = None


class _Completion(Struct, frozen=True, gc=False):
    """A whole answer or a chunk of one. One choice is asked for, so there is at most one."""

    choices: list[_Choice] | UnsetType = UNSET
    usage: Usage | None = None
    error: _Error | None = None


_request_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Completion)


def encode_request(request: ChatRequest) -> bytes:
    """The body that asks OpenAI what the product asked us."""
    return _request_encoder.encode(
        _CompletionRequest(
            model=request.model,
            messages=request.messages,
            max_completion_tokens=request.max_completion_tokens,
            store=False,
            stream=request.stream,
            stream_options=_StreamOptions(include_usage=True) if request.stream else UNSET,
        )
    )


def read_whole(body: bytes) -> ChatResult:
    """The answer in the body of a call that was not streamed.

    Raises:
        UpstreamFailure: It is an error, malformed, unfinished, or stopped by the content filter.
    """
    completion = _read(body)
    choices = _choices(completion)
    if not choices:
        raise UpstreamFailure("upstream_malformed")
    _require_finished(choices[0].finish_reason)
    return ChatResult(choices[0].message.text, completion.usage)


class StreamReader:
    """Reads the events of one stream, as its bytes come, into texts and at last a result."""

    def __init__(self) -> None:
        self._events = Decoder(max_event_bytes=MAX_EVENT_BYTES)
        self._texts: list[str] = []
        self._usage: Usage | None = None
        self._finish_reason: str | None = None
        self.is_done = False
        """Whether the stream has said that it is complete."""

    def feed(self, chunk: bytes) -> str | None:
        """The text of the events that this chunk completes; None where it completes none.

        Raises:
            UpstreamFailure: An event is an error or malformed.
        """
        completions = self._read_plain(chunk)
        if completions is None:
            completions = self._read_events(chunk)
        if not completions and not self.is_done:
            return None
        text = self._text_of(completions)
        if text:
            self._texts.append(text)
        return text

    def result(self) -> ChatResult:
        """The whole answer, once the stream has ended.

        Raises:
            UpstreamFailure: The stream ended before the answer did, or the content filter stopped it.
        """
        if not self.is_done:
            raise UpstreamFailure("upstream_truncated")
        _require_finished(self._finish_reason)
        return ChatResult("".join(self._texts), self._usage)

    def _read_plain(self, chunk: bytes) -> list[_Completion] | None:
        """The events of a chunk that holds nothing but whole ones of a line each, as OpenAI writes them.

        That is nearly every chunk, and reading its events all at once takes a third of the time. None where it is not.
        """
        is_done = chunk.endswith(_DONE_EVENT)
        lines = chunk[: -len(_DONE_EVENT)] if is_done else chunk
        if not lines.startswith(b"data: ") or not lines.endswith(b"\n\n") or not self._events.is_empty:
            return None
        try:
            completions = _decoder.decode_lines(lines[6:].replace(b"\n\ndata: ", b"\n"))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        self.is_done = self.is_done or is_done
        return completions

    def _read_events(self, chunk: bytes) -> list[_Completion]:
        """The events that a chunk completes, whatever it looks like."""
        try:
            events = self._events.feed(chunk)
        except EventTooLarge:
            raise UpstreamFailure("upstream_malformed") from None
        completions = []
        for event in events:
            if event.data == _DONE:
                self.is_done = True
            else:
                completions.append(_read(event.data))
        return completions

    def _text_of(self, completions: list[_Completion]) -> str:
        texts: list[str] = []
        for completion in completions:
            if completion.usage is not None:
                self._usage = completion.usage
            for choice in _choices(completion):
                if choice.finish_reason is not None:
                    self._finish_reason = choice.finish_reason
                if choice.delta.content:
                    texts.append(choice.delta.content)
                if choice.delta.refusal:
                    texts.append(choice.delta.refusal)
        return "".join(texts)


def _read(data: bytes) -> _Completion:
    try:
        return _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise UpstreamFailure("upstream_malformed") from None


def _choices(completion: _Completion) -> list[_Choice]:
    if completion.error is not None:
        raise UpstreamFailure(code_of_rejection(None, (str(completion.error.code), completion.error.type)))
    if completion.choices is UNSET:
        raise UpstreamFailure("upstream_malformed")
    return completion.choices


def _decode(data: bytes) -> _Completion:
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError:
        # A model can be cut in the middle of an emoji, and half of one, escaped, is no text.
        repaired = _SURROGATES.sub(lambda found: rb"\ufffd" if found[1] else found[0], data)
        if repaired == data:
            raise
        return _decoder.decode(repaired)


def _require_finished(finish_reason: str | None) -> None:
    if finish_reason == "content_filter":
        raise UpstreamFailure("content_filtered")
    if finish_reason is None:
        raise UpstreamFailure("upstream_truncated")
