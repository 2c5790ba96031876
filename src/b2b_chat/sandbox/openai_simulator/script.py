"""A reply as a script: steps made in advance from the answer and the faults asked for."""

import math
from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Final, Literal

import msgspec
from msgspec import Struct

from b2b_chat.sandbox.openai_simulator import events
from b2b_chat.sandbox.openai_simulator.answers import Answer
from b2b_chat.sandbox.openai_simulator.api_errors import ERRORS, ApiError, error_for
from b2b_chat.sandbox.openai_simulator.chat_request import ChatRequest
from b2b_chat.sandbox.openai_simulator.directives import Directives


class Start(Struct):
    """Send the status and the headers."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]


class Write(Struct):
    """Send a part of the body. It holds so many deltas, which are paced."""

    data: bytes
    deltas: int = 0


class Pause(Struct):
    """Send nothing for a while; infinity waits until the caller leaves."""

    seconds: float


class Drop(Struct):
    """Give the connection up, in this manner; nothing can follow."""

    how: Literal["close", "cut", "reset", "half_chunk"]


Step = Start | Write | Pause | Drop

_SPLIT_GAP_SECONDS: Final = 0.003
"""Long enough for two parts of an event to travel apart."""

_JSON: Final = (b"content-type", b"application/json")
_EVENT_STREAM: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
)

IN_PLACE_OF_A_REPLY: Final[Mapping[str, Step]] = {
    "no_answer": Pause(math.inf),
    "close": Drop("close"),
    "reset": Drop("reset"),
}
"""By directive, what happens before any header is sent."""


class Interruption(Struct, frozen=True):
    """What happens after N deltas, and whether the rest of the answer follows."""

    steps: Callable[[Directives], list[Step]]
    answer_goes_on: bool


INTERRUPTIONS: Final[Mapping[str, Interruption]] = {
    "malformed_after": Interruption(lambda wish: [Write(events.MALFORMED[wish.malformed])], answer_goes_on=True),
    "stall_after": Interruption(lambda wish: [Pause(wish.stall_seconds)], answer_goes_on=True),
    "error_after": Interruption(lambda wish: [Write(_in_band_error(wish))], answer_goes_on=False),
    "cut_after": Interruption(lambda _: [Drop("cut")], answer_goes_on=False),
    "reset_after": Interruption(lambda _: [Drop("reset")], answer_goes_on=False),
    "half_chunk_after": Interruption(lambda _: [Drop("half_chunk")], answer_goes_on=False),
}
"""By directive, what happens in the middle of a stream."""

_IN_A_DOCUMENT: Final = ("stall_after", "cut_after", "reset_after", "half_chunk_after")
"""The interruptions that a reply without streaming can have too, in the middle of its body."""


def script_for(request: ChatRequest, answer: Answer, wish: Directives, *, tokens_per_second: float) -> list[Step]:
    """All steps of the reply to a request."""
    seconds = wish.delay_ms / 1000
    thinking_seconds = wish.first_token_delay_ms / 1000
    if tokens_per_second:  # hidden tokens are written like the others
        thinking_seconds += wish.reasoning_tokens / tokens_per_second
    instead = [step for directive, step in IN_PLACE_OF_A_REPLY.items() if getattr(wish, directive)]
    if instead:
        reply = instead[:1]
    elif wish.status is not None or (wish.error is not None and wish.error_after is None):
        reply = refusal(_error_of(wish), wish)
    elif request.stream:
        reply = _stream(request, answer, wish, thinking_seconds)
    else:
        # Without streaming the caller waits for the whole answer at once.
        seconds += thinking_seconds
        seconds += len(answer.tokens) / tokens_per_second if tokens_per_second else 0
        reply = _document(request, answer, wish)
    return [Pause(seconds), *reply] if seconds else reply


def refusal(error: ApiError, wish: Directives | None = None) -> list[Step]:
    """The steps that refuse a request."""
    headers = [(b"content-type", error.content_type), (b"content-length", str(len(error.body)).encode())]
    if wish is not None and wish.retry_after is not None:
        headers.append((b"retry-after", wish.retry_after.encode("latin-1", "replace")))
    if wish is not None and wish.retry_after_ms is not None:
        headers.append((b"retry-after-ms", wish.retry_after_ms.encode("latin-1", "replace")))
    return [Start(error.status, tuple(headers)), Write(error.body)]


def _error_of(wish: Directives) -> ApiError:
    """The error that `error` and `status` ask for."""
    if wish.error is None:
        return error_for(wish.status or 500)
    error = ERRORS[wish.error]
    return error if wish.status is None else msgspec.structs.replace(error, status=wish.status)


def _in_band_error(wish: Directives) -> bytes:
    return b'data: {"error":%b}\n\n' % msgspec.json.encode(_error_of(wish).details)


def _document(request: ChatRequest, answer: Answer, wish: Directives) -> list[Step]:
    """The reply as one JSON document."""
    body = events.document(request, answer, with_usage=wish.usage != "none")
    if wish.malformed_after is not None:
        body = body[: len(body) // 2]
    if wish.error_after is not None:
        body = _error_of(wish).body
    start = Start(200, (_JSON, (b"content-length", str(len(body)).encode())))
    steps: list[Step] = [start, Write(body)]
    for directive in _IN_A_DOCUMENT:
        if getattr(wish, directive) is not None:
            middle = len(body) // 2
            steps = [start, Write(body[:middle]), *INTERRUPTIONS[directive].steps(wish), Write(body[middle:])]
    return steps


def _stream(request: ChatRequest, answer: Answer, wish: Directives, thinking_seconds: float) -> list[Step]:
    """The reply as a stream of events."""
    include_usage = request.stream_options is not None and request.stream_options.include_usage is True
    chunks = events.chunks_for(request, include_usage=include_usage)
    steps: list[Step] = [Write(chunks.role())]
    if thinking_seconds:
        steps.append(Pause(thinking_seconds))
    field = b"refusal" if answer.is_refusal else b"content"
    steps += [Write(event, 1) for event in (*chunks.contents(answer.tokens, field), *chunks.calls(answer.calls))]
    steps += [Write(event) for event in _ending(chunks, answer, wish, include_usage=include_usage)]
    for directive, interruption in INTERRUPTIONS.items():
        after = getattr(wish, directive)
        if after is not None:
            position = _position_after(steps, after)
            steps[position:] = interruption.steps(wish) + (steps[position:] if interruption.answer_goes_on else [])
    if wish.framing != "lf":
        steps = _framed(steps, events.FRAMINGS[wish.framing])
    if wish.burst is not None:
        steps = _in_bursts(steps, wish.burst)
    return [Start(200, _EVENT_STREAM), *steps]


def _ending(chunks: events.Chunks, answer: Answer, wish: Directives, *, include_usage: bool) -> list[bytes]:
    """What follows the text: the reason, the figures and the end mark, as the directives would have them."""
    kind = wish.usage if include_usage else "none"
    figures = msgspec.json.encode(answer.usage)
    reason = msgspec.json.encode(answer.finish_reason)
    finish = [] if answer.finish_reason is None else [chunks.finish(reason, figures if kind == "with_finish" else None)]
    done = [] if wish.no_done else [events.DONE]
    if kind == "after_done":
        return [*finish, *done, chunks.usage(figures)]
    repeated = {"none": 0, "with_finish": 0, "twice": 2}.get(kind, 1)
    return [*finish, *[chunks.usage(figures)] * repeated, *done]


def _position_after(steps: list[Step], deltas: int) -> int:
    """Where to put a step that is to come at once after so many deltas, or after the last where there are fewer."""
    position = 1  # after the role
    for number, step in enumerate(steps):
        if deltas and isinstance(step, Write) and step.deltas:
            deltas -= 1
            position = number + 1
    return position


def _framed(steps: list[Step], frame: Callable[[bytes], list[bytes]]) -> list[Step]:
    """Every event in another form."""
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


def _in_bursts(steps: list[Step], size: int) -> list[Step]:
    """Neighbouring writes joined, so that each holds `size` deltas with what stands between and after them."""
    deltas = 0

    def burst_of(step: Step) -> int | None:
        nonlocal deltas
        if not isinstance(step, Write):
            return None
        deltas += step.deltas
        return max(deltas - 1, 0) // size

    joined: list[Step] = []
    for burst, group in groupby(steps, burst_of):
        members = list(group)
        writes = [step for step in members if isinstance(step, Write)]
        if burst is None:
            joined += members
        else:
            joined.append(Write(b"".join(step.data for step in writes), sum(step.deltas for step in writes)))
    return joined
