"""A reply as a script: steps made in advance from the answer and the faults asked for, then played to the caller."""

import json
import math
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec
from msgspec import Struct

from b2b_chat.sandbox.openai_simulator.answers import Answer
from b2b_chat.sandbox.openai_simulator.api_errors import ERRORS, ApiError, error_for
from b2b_chat.sandbox.openai_simulator.chat_request import SNAPSHOTS, ChatRequest
from b2b_chat.sandbox.openai_simulator.directives import Directives

Headers = tuple[tuple[bytes, bytes], ...]


class Start(Struct, gc=False):
    """Send the status and the headers."""

    status: int
    headers: Headers


class Write(Struct, gc=False):
    """Send a part of the body, which holds so many deltas; those are paced."""

    data: bytes
    deltas: int = 0


class Pause(Struct, gc=False):
    """Send nothing for a while; infinity waits until the caller leaves."""

    seconds: float


class Drop(Struct, gc=False):
    """Give the connection up, in this manner; nothing can follow."""

    how: Literal["close", "cut", "reset", "half_chunk"]


Step = Start | Write | Pause | Drop

DONE: Final = b"data: [DONE]\n\n"
_SPLIT_GAP_SECONDS: Final = 0.003
"""Long enough for two parts of an event to travel apart."""

_JSON: Final = (b"content-type", b"application/json")
_EVENTS: Final = (b"content-type", b"text/event-stream; charset=utf-8")

BEFORE_HEADERS: Final[Mapping[str, Step]] = {
    "no_answer": Pause(math.inf),
    "close": Drop("close"),
    "reset": Drop("reset"),
}
"""By directive, what happens in place of a reply."""

MALFORMED: Final = {
    "json": b'data: {"id":"chatcmpl-broken","object":"chat.comp\n\n',
    "array": b"data: [1, 2, 3]\n\n",
    "number": b"data: 42\n\n",
    "shape": b'data: {"id":7,"object":"chat.completion.chunk","choices":{"delta":"text"}}\n\n',
    "utf8": b'data: {"id":"chatcmpl-\xff\xfe","object":"chat.completion.chunk","choices":[]}\n\n',
}
"""By the value of `malformed`, an event that is no chunk."""


class Interruption(Struct, frozen=True):
    """What happens after N deltas, and whether the rest of the answer follows."""

    steps: Callable[[Directives], list[Step]]
    answer_goes_on: bool


INTERRUPTIONS: Final[Mapping[str, Interruption]] = {
    "malformed_after": Interruption(lambda wish: [Write(MALFORMED[wish.malformed])], answer_goes_on=True),
    "stall_after": Interruption(lambda wish: [Pause(wish.stall_seconds)], answer_goes_on=True),
    "error_after": Interruption(lambda wish: [Write(_in_band_error(wish))], answer_goes_on=False),
    "cut_after": Interruption(lambda _: [Drop("cut")], answer_goes_on=False),
    "reset_after": Interruption(lambda _: [Drop("reset")], answer_goes_on=False),
    "half_chunk_after": Interruption(lambda _: [Drop("half_chunk")], answer_goes_on=False),
}
"""By directive, what happens in the middle of a reply."""

FRAMINGS: Final[Mapping[str, Callable[[bytes], list[bytes]]]] = {
    "crlf": lambda event: [event.replace(b"\n", b"\r\n")],
    "cr": lambda event: [event.replace(b"\n", b"\r")],
    "comments": lambda event: [b": keep-alive\n\n" + event],
    "fields": lambda event: [b"event: message\nid: 7\nretry: 3000\nnonsense\n" + event],
    "no_space": lambda event: [event.replace(b"data: ", b"data:", 1)],
    "multiline": lambda event: [event.replace(b',"object"', b',\ndata: "object"', 1)],
    "split": lambda event: _split(event),
}
"""By the value of `framing`, an event written in another way that means the same."""


def script_for(request: ChatRequest, answer: Answer, wish: Directives, *, tokens_per_second: float) -> list[Step]:
    """All steps of the reply to a request."""
    for directive, step in BEFORE_HEADERS.items():
        if getattr(wish, directive):
            return [step]
    delay: list[Step] = [Pause(wish.delay_ms / 1000)] if wish.delay_ms else []
    if wish.status is not None or (wish.error is not None and wish.error_after is None):
        return delay + refusal(_error_of(wish), wish)
    if request.stream:
        return delay + _stream(request, answer, wish)
    # Without streaming the caller waits for the whole answer at once.
    seconds = len(answer.tokens) / tokens_per_second if tokens_per_second else 0.0
    seconds += wish.first_token_delay_ms / 1000
    thinking: list[Step] = [Pause(seconds)] if seconds else []
    return delay + thinking + _document(request, answer, wish)


def refusal(error: ApiError, wish: Directives | None = None) -> list[Step]:
    """The steps that refuse a request."""
    headers: list[tuple[bytes, bytes]] = [(b"content-type", error.content_type)]
    if wish is not None and wish.retry_after is not None:
        headers.append((b"retry-after", wish.retry_after.encode("latin-1")))
    if wish is not None and wish.retry_after_ms is not None:
        headers.append((b"retry-after-ms", wish.retry_after_ms.encode("latin-1")))
    return [Start(error.status, tuple(headers)), Write(error.body)]


def _error_of(wish: Directives) -> ApiError:
    """The error that `status` and `error` ask for."""
    if wish.error is None:
        return error_for(wish.status or 500)
    error = ERRORS[wish.error]
    return error if wish.status is None else msgspec.structs.replace(error, status=wish.status)


def _in_band_error(wish: Directives) -> bytes:
    return b'data: {"error":%b}\n\n' % msgspec.json.encode(ERRORS[wish.error or "server_error"].object)


def _document(request: ChatRequest, answer: Answer, wish: Directives) -> list[Step]:
    """The reply as one JSON document."""
    head, tail = _identity(request)
    usage = b"" if wish.usage == "none" else b',"usage":' + msgspec.json.encode(answer.usage)
    body = (
        b'{%b,"object":"chat.completion",%b,"choices":[{"index":0,"message":{"role":"assistant","content":%b,'
        b'"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":%b}]%b}'
    ) % (head, tail, _json_text("".join(answer.tokens)), msgspec.json.encode(answer.finish_reason), usage)
    if wish.malformed_after is not None:
        body = body[: len(body) // 2]
    if wish.error_after is not None:
        body = ApiError.body.fget(_error_of(wish))
    start = Start(200, (_JSON, (b"content-length", str(len(body)).encode())))
    middle = len(body) // 2
    for directive in ("stall_after", "cut_after", "reset_after", "half_chunk_after"):
        if getattr(wish, directive) is not None:
            interruption = INTERRUPTIONS[directive]
            rest: list[Step] = [Write(body[middle:], len(answer.tokens))] if interruption.answer_goes_on else []
            return [start, Write(body[:middle]), *interruption.steps(wish), *rest]
    return [start, Write(body)]


def _stream(request: ChatRequest, answer: Answer, wish: Directives) -> list[Step]:
    """The reply as a stream of events."""
    identity, tail = _identity(request)
    options = request.stream_options
    include_usage = options is not None and options.include_usage is True
    prefix = b'data: {%b,"object":"chat.completion.chunk",%b,"choices":[' % (identity, tail)
    no_usage = b',"usage":null' if include_usage else b""
    obfuscate = options is None or options.include_obfuscation is not False
    chunks = Chunks(prefix, no_usage, _PADDING if obfuscate else _NO_PADDING)
    steps: list[Step] = [Start(200, (_EVENTS, (b"cache-control", b"no-cache"))), Write(chunks.role())]
    if wish.first_token_delay_ms:
        steps.append(Pause(wish.first_token_delay_ms / 1000))
    steps += [Write(chunks.content(token), 1) for token in answer.tokens]
    steps += [Write(event) for event in _ending(chunks, answer, wish, include_usage=include_usage)]
    for directive, interruption in INTERRUPTIONS.items():
        after = getattr(wish, directive)
        if after is not None:
            place = _place_after(steps, after)
            steps[place:] = interruption.steps(wish) + (steps[place:] if interruption.answer_goes_on else [])
    if wish.framing != "lf":
        steps = _framed(steps, FRAMINGS[wish.framing])
    return steps if wish.burst is None else _in_bursts(steps, wish.burst)


class Chunks:
    """The events of one stream, all alike but for their middle."""

    def __init__(self, prefix: bytes, no_usage: bytes, padding: tuple[bytes, ...]) -> None:
        self._prefix = prefix
        self._no_usage = no_usage
        self._padding = padding
        self._before_text = prefix + b'{"index":0,"delta":{"content":'
        self._after_text = b'},"logprobs":null,"finish_reason":null}]' + no_usage

    def role(self) -> bytes:
        """The first one, which says who speaks."""
        return b'%b{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,%b%b%b' % (
            self._prefix,
            b'"finish_reason":null}]',
            self._no_usage,
            self._padding[0],
        )

    def content(self, token: str) -> bytes:
        """A delta of text."""
        padding = self._padding[len(token) % len(self._padding)]
        return b"".join((self._before_text, _json_text(token), self._after_text, padding))

    def finish(self, reason: str, usage: bytes = b"") -> bytes:
        """The end of the text, with the reason."""
        return b'%b{"index":0,"delta":{},"logprobs":null,"finish_reason":"%b"}]%b%b' % (
            self._prefix,
            reason.encode(),
            b',"usage":' + usage if usage else self._no_usage,
            self._padding[0],
        )

    def usage(self, usage: bytes) -> bytes:
        """The figures, with no choice."""
        return b'%b],"usage":%b%b' % (self._prefix, usage, self._padding[0])


_NO_PADDING: Final = (b"}\n\n",)
# OpenAI pads its chunks with random characters so that their size does not tell the text's. Fixed ones do here.
_PADDING: Final = tuple(b',"obfuscation":"%b"}\n\n' % b"rL3vXq0TbN8dKzPa"[: 16 - size] for size in range(16))


def _ending(chunks: Chunks, answer: Answer, wish: Directives, *, include_usage: bool) -> list[bytes]:
    """What follows the text: the reason, the figures and the end mark, as the directives would have them."""
    figures = msgspec.json.encode(answer.usage)
    usage = chunks.usage(figures)
    kind = wish.usage if include_usage else "none"
    finish = []
    if answer.finish_reason is not None:
        finish = [chunks.finish(answer.finish_reason, figures if kind == "with_finish" else b"")]
    done = [] if wish.no_done else [DONE]
    if kind == "after_done":
        return [*finish, *done, usage]
    repeated = {"none": 0, "with_finish": 0, "twice": 2}.get(kind, 1)
    return [*finish, *[usage] * repeated, *done]


def _identity(request: ChatRequest) -> tuple[bytes, bytes]:
    """The fields that all chunks of a reply share: its id, and what stands after `object`."""
    model = SNAPSHOTS[request.model or ""].encode()
    return (
        b'"id":"chatcmpl-%b"' % uuid.uuid4().hex[:29].encode(),
        b'"created":%d,"model":"%b","service_tier":"default","system_fingerprint":null' % (time.time(), model),
    )


def _json_text(text: str) -> bytes:
    """A JSON string; lone surrogates, which are no UTF-8, are escaped."""
    try:
        return msgspec.json.encode(text)
    except UnicodeEncodeError:
        return json.dumps(text).encode()


def _place_after(steps: list[Step], deltas: int) -> int:
    """Where to put a step that is to come after so many deltas: at once after the last of them."""
    place = 2  # after the headers and the role
    for number, step in enumerate(steps):
        if deltas and isinstance(step, Write) and step.deltas:
            deltas -= 1
            place = number + 1
    return place


def _framed(steps: list[Step], frame: Callable[[bytes], list[bytes]]) -> list[Step]:
    framed: list[Step] = []
    for step in steps:
        if not isinstance(step, Write):
            framed.append(step)
            continue
        *parts, last = frame(step.data)
        for part in parts:
            framed += [Write(part), Pause(_SPLIT_GAP_SECONDS)]
        framed.append(Write(last, step.deltas))
    return framed


def _split(event: bytes) -> list[bytes]:
    """An event in two parts: in the middle of its first character beyond ASCII, where it has one."""
    place = next((number for number, byte in enumerate(event) if byte > 0x7F), len(event) // 2) + 1  # noqa: PLR2004
    return [event[:place], event[place:]]


def _in_bursts(steps: list[Step], deltas: int) -> list[Step]:
    """Join neighbouring writes until each holds so many deltas."""
    joined: list[Step] = []
    for step in steps:
        last = joined[-1] if joined else None
        if isinstance(step, Write) and isinstance(last, Write) and last.deltas < deltas:
            joined[-1] = Write(last.data + step.data, last.deltas + step.deltas)
        else:
            joined.append(step)
    return joined
