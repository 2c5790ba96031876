"""An OpenAI that costs next to nothing: prepared bytes, one asyncio protocol, and a record of what it sent.

    python -m bench.upstream --port 9000

The prompt says what to answer: `[[upstream key=K deltas=100 rate=20]]`, rate in deltas per second and stream; 0 is as
fast as they are taken. Each delta is written by itself, and has exactly one space, so that a reader can count deltas
that were joined on the way. `GET /sent` tells, and forgets, what was sent under each key and when.
"""

import argparse
import asyncio
import re
import time
import zlib
from typing import Final, cast

import httptools
import msgspec
import uvloop

_ASKED: Final = re.compile(rb"\[\[upstream key=([A-Za-z0-9-]+) deltas=(\d+) rate=([0-9.]+)\]\]")
_STREAM: Final = re.compile(rb'"stream"\s*:\s*true')
_HEAD: Final = b'"id":"chatcmpl-B1x7Qh2sLr0c9dKfWm4TzYvNpE8ua","created":1790000000,"model":"gpt-5.2-2025-12-11"'
_CHUNK: Final = b'data: {"object":"chat.completion.chunk",' + _HEAD + b',"service_tier":"default","choices":['
_DELTA: Final = (
    _CHUNK
    + b'{"index":0,"delta":{"content":"%b"},"logprobs":null,"finish_reason":null}],'
    + b'"usage":null,"obfuscation":"q7JdW2"}\n\n'
)
_ROLE: Final = _CHUNK + b'{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}\n\n'
_FINISH: Final = _CHUNK + b'{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}\n\n'
_USAGE: Final = b'{"prompt_tokens":60,"completion_tokens":%d,"total_tokens":%d}'
_STREAM_ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n"
    b"x-request-id: req_bench\r\n\r\n"
)
_WHOLE_ANSWER: Final = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"


class Sent(msgspec.Struct):
    """What one call was sent. Moments are of the system's monotonic clock, which all processes share."""

    received_at: float
    deltas: int = 0
    crc32: int = 0
    first_at: float = 0.0
    is_whole: bool = False

    def add(self, text: bytes) -> None:
        """Note a delta that is being written."""
        if not self.deltas:
            self.first_at = time.monotonic()
        self.deltas += 1
        self.crc32 = zlib.crc32(text, self.crc32)


def delta_text(key: bytes, number: int) -> bytes:
    """The text of a delta, which no other place in any answer has."""
    return b" %b.%d" % (key[-5:], number)


class Upstream(asyncio.Protocol):
    """One connection. Its calls come one after the other."""

    def __init__(self, sent: dict[str, list[Sent]]) -> None:
        self._sent = sent
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body = b""
        self._next: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._next is not None:
            self._next.cancel()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._url.endswith(b"/chat/completions"):
            self._answer()
        elif self._url == b"/sent":
            self._write_whole(b"200 OK", msgspec.json.encode(self._sent))
            self._sent.clear()
        else:
            self._write_whole(b"200 OK", b"{}")

    def _answer(self) -> None:
        asked = _ASKED.search(self._body)
        if asked is None:
            self._write_whole(b"400 Bad Request", b'{"error":{"message":"the prompt does not say what to answer"}}')
            return
        key, deltas, rate = asked[1], int(asked[2]), float(asked[3])
        sent = Sent(time.monotonic())
        self._sent.setdefault(key.decode(), []).append(sent)
        if not _STREAM.search(self._body):
            self._write_document(key, deltas, sent)
            return
        self._transport.write(_STREAM_ANSWER + _chunk(_ROLE))
        self._step(key, deltas, sent, 1 / rate if rate else 0.0, self._loop.time())

    def _step(self, key: bytes, deltas: int, sent: Sent, interval_seconds: float, due: float) -> None:
        """Write the next delta, and see to it that the one after comes when it is due."""
        text = delta_text(key, sent.deltas)
        sent.add(text)
        self._transport.write(_chunk(_DELTA % text))
        if sent.deltas == deltas:
            self._next = None
            usage = _CHUNK + b'],"usage":' + _USAGE % (deltas, 60 + deltas) + b"}\n\n"
            self._transport.write(_chunk(_FINISH) + _chunk(usage) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
            sent.is_whole = True
        elif interval_seconds:
            due += interval_seconds
            self._next = self._loop.call_at(due, self._step, key, deltas, sent, interval_seconds, due)
        else:
            self._next = self._loop.call_soon(self._step, key, deltas, sent, 0.0, 0.0)

    def _write_document(self, key: bytes, deltas: int, sent: Sent) -> None:
        for number in range(deltas):
            sent.add(delta_text(key, number))
        sent.is_whole = True
        text = b"".join(delta_text(key, number) for number in range(deltas))
        message = b'{"index":0,"message":{"role":"assistant","content":"%b"},"finish_reason":"stop"}' % text
        usage = _USAGE % (deltas, 60 + deltas)
        document = b'{"object":"chat.completion",%b,"choices":[%b],"usage":%b}' % (_HEAD, message, usage)
        self._write_whole(b"200 OK", document)

    def _write_whole(self, status: bytes, body: bytes) -> None:
        self._transport.write(_WHOLE_ANSWER % (status, len(body), body))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def serve(port: int) -> None:
    """Serve on 127.0.0.1 until the process is ended."""
    sent: dict[str, list[Sent]] = {}
    server = await asyncio.get_running_loop().create_server(lambda: Upstream(sent), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))
