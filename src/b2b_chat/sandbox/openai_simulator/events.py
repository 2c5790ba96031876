"""The bytes of a reply: one JSON document, or server-sent events made from prepared parts."""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from b2b_chat.sandbox.openai_simulator.answers import Answer
from b2b_chat.sandbox.openai_simulator.calls import Call
from b2b_chat.sandbox.openai_simulator.chat_request import SNAPSHOTS, ChatRequest

DONE: Final = b"data: [DONE]\n\n"

MALFORMED: Final[Mapping[str, bytes]] = {
    "json": b'data: {"id":"chatcmpl-broken","object":"chat.comp\n\n',
    "array": b"data: [1, 2, 3]\n\n",
    "number": b"data: 42\n\n",
    "shape": b'data: {"id":7,"object":"chat.completion.chunk","choices":{"delta":"text"}}\n\n',
    "utf8": b'data: {"id":"chatcmpl-\xff\xfe","object":"chat.completion.chunk","choices":[]}\n\n',
    # Azure begins a stream with one like this.
    "no_choices": b'data: {"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[]}\n\n',
}
"""By the value of the directive `malformed`, an event that is not as a chunk should be."""


def _split(event: bytes) -> list[bytes]:
    """An event in two parts: in the middle of its first character beyond ASCII, where it has one."""
    first_beyond_ascii = next((index for index, byte in enumerate(event) if byte > 0x7F), len(event) // 2)  # noqa: PLR2004 - the last ASCII byte
    return [event[: first_beyond_ascii + 1], event[first_beyond_ascii + 1 :]]


FRAMINGS: Final[Mapping[str, Callable[[bytes], list[bytes]]]] = {
    "lf": lambda event: [event],
    "crlf": lambda event: [event.replace(b"\n", b"\r\n")],
    "cr": lambda event: [event.replace(b"\n", b"\r")],
    "comments": lambda event: [b": keep-alive\n\n" + event],
    "fields": lambda event: [b"event: message\nid: 7\nretry: 3000\nnonsense\n" + event],
    "no_space": lambda event: [event.replace(b"data: ", b"data:", 1)],
    "multiline": lambda event: [event.replace(b',"choices"', b',\ndata: "choices"', 1)],
    "split": _split,
}
"""By the value of the directive `framing`, another form of an event that means the same, in parts that travel apart."""

_NO_PADDING: Final = (b"}\n\n",)
# OpenAI pads its chunks with random characters so that their size does not tell the text's. Fixed ones do here.
_PADDING: Final = tuple(b',"obfuscation":"%b"}\n\n' % b"rL3vXq0TbN8dKzPa"[size:] for size in range(16))


class Chunks(Struct, frozen=True):
    """The events of one stream, all alike but for their middle."""

    prefix: bytes
    """An event up to the first choice."""
    no_usage: bytes
    """What stands for the usage in events that tell none."""
    paddings: tuple[bytes, ...]
    """How an event ends, by the length of its text."""

    def role(self) -> bytes:
        """The first event, which says who speaks."""
        delta = b'{"role":"assistant","content":"","refusal":null}'
        choice = b'{"index":0,"delta":%b,"logprobs":null,"finish_reason":null}]' % delta
        return b"".join((self.prefix, choice, self.no_usage, self.paddings[0]))

    def contents(self, tokens: list[str], field: bytes = b"content") -> list[bytes]:
        """An event for each token, of the content or of the refusal."""
        before = self.prefix + b'{"index":0,"delta":{"%b":' % field
        after = [
            b'},"logprobs":null,"finish_reason":null}]' + self.no_usage + self.paddings[size % len(self.paddings)]
            for size in range(16)
        ]
        return [b"".join((before, json_text(token), after[len(token) & 15])) for token in tokens]

    def calls(self, calls: list[Call]) -> list[bytes]:
        """The events of calls: of each its id and name, then a piece of its arguments an event."""
        written: list[bytes] = []
        for index, call in enumerate(calls):
            head = b'"id":%b,"type":"function","function":{"name":%b,"arguments":""}'
            written.append(self._call(index, head % (json_text(call.id), json_text(call.name))))
            written += [
                self._call(index, b'"function":{"arguments":%b}' % json_text(piece)) for piece in call.arguments
            ]
        return written

    def _call(self, index: int, said: bytes) -> bytes:
        choice = b'{"index":0,"delta":{"tool_calls":[{"index":%d,%b}]},"logprobs":null,"finish_reason":null}]'
        return b"".join((self.prefix, choice % (index, said), self.no_usage, self.paddings[0]))

    def finish(self, reason: bytes, usage: bytes | None = None) -> bytes:
        """The end of the text; `reason` and `usage` are JSON."""
        choice = b'{"index":0,"delta":{},"logprobs":null,"finish_reason":%b}]' % reason
        figures = self.no_usage if usage is None else b',"usage":' + usage
        return b"".join((self.prefix, choice, figures, self.paddings[0]))

    def usage(self, usage: bytes) -> bytes:
        """The figures, with no choice; `usage` is JSON."""
        return b"".join((self.prefix, b'],"usage":', usage, self.paddings[0]))


def chunks_for(request: ChatRequest, *, include_usage: bool) -> Chunks:
    """The events for a request that wants a stream."""
    options = request.stream_options
    obfuscate = options is None or options.include_obfuscation is not False
    return Chunks(
        prefix=b'data: {%b,"choices":[' % _identity(request, b"chat.completion.chunk"),
        no_usage=b',"usage":null' if include_usage else b"",
        paddings=_PADDING if obfuscate else _NO_PADDING,
    )


def document(request: ChatRequest, answer: Answer, *, with_usage: bool) -> bytes:
    """The whole reply as one JSON document."""
    text = "".join(answer.tokens)
    return (
        b'{%b,"choices":[{"index":0,"message":{"role":"assistant","content":%b,'
        b'"refusal":%b,"annotations":[]%b},"logprobs":null,"finish_reason":%b}]%b}'
    ) % (
        _identity(request, b"chat.completion"),
        b"null" if answer.is_refusal or (answer.calls and not text) else json_text(text),
        json_text(text) if answer.is_refusal else b"null",
        _calls(answer.calls),
        msgspec.json.encode(answer.finish_reason),
        b',"usage":' + msgspec.json.encode(answer.usage) if with_usage else b"",
    )


def _calls(calls: list[Call]) -> bytes:
    written = [
        b'{"id":%b,"type":"function","function":{"name":%b,"arguments":%b}}'
        % (json_text(call.id), json_text(call.name), json_text("".join(call.arguments)))
        for call in calls
    ]
    return b',"tool_calls":[%b]' % b",".join(written) if written else b""


def json_text(text: str) -> bytes:
    """A JSON string; lone surrogates, which are no UTF-8, are escaped."""
    try:
        return msgspec.json.encode(text)
    except UnicodeEncodeError:
        return json.dumps(text).encode()


def _identity(request: ChatRequest, kind: bytes) -> bytes:
    """The fields that are the same in all parts of a reply."""
    return (
        b'"id":"chatcmpl-%b","object":"%b","created":%d,"model":"%b","service_tier":"default","system_fingerprint":null'
    ) % (uuid.uuid4().hex[:29].encode(), kind, time.time(), SNAPSHOTS[request.model or ""].encode())
