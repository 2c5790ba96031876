"""Both ends of the gateway's benchmark: an upstream that only writes prepared bytes, and a client that checks answers.

Both speak HTTP by hand on asyncio's protocols, so that neither is what is measured.
"""

import asyncio
import json
import re
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import uvloop

from b2b_chat.contract.signing import sign

WORD: Final = " benchmark"
_ASKED: Final = re.compile(rb"bench (\d+) (\d+)")
_HEAD_STREAM: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_CHUNK: Final = (
    '{"id":"chatcmpl-CkT1aT9bqDJBkqV7Yc2W5qkPyHr3d","object":"chat.completion.chunk","created":1763822400,'
    '"model":"gpt-5.2","service_tier":"default","system_fingerprint":null,"choices":[%s],%s"obfuscation":"%s"}'
)
_DELTA: Final = '{"index":0,"delta":{"content":"%s"},"logprobs":null,"finish_reason":%s}'
_USAGE: Final = '"usage":{"prompt_tokens":12,"completion_tokens":100,"total_tokens":112},'
_WHOLE: Final = (
    '{"id":"chatcmpl-CkT1aT9bqDJBkqV7Yc2W5qkPyHr3d","object":"chat.completion","created":1763822400,"model":"gpt-5.2",'
    '"choices":[{"index":0,"message":{"role":"assistant","content":"%s","refusal":null,"annotations":[]},'
    '"logprobs":null,"finish_reason":"stop"}],%s"service_tier":"default","system_fingerprint":null}'
)


class Load(NamedTuple):
    """What a client does: so many calls, so many at once; `deltas` 0 is an answer in one piece."""

    calls: int
    streams: int
    deltas: int = 0
    per_second: int = 0
    """Deltas a second in each stream; 0 writes them one by one without a pause."""


class Outcome(NamedTuple):
    """How the answers came. Every one of them was complete and exact."""

    seconds: float
    events: int
    first_ms_p50: float
    first_ms_p99: float


def _framed(text: str) -> bytes:
    data = f"data: {text}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def _chunk(choices: str, usage: str = '"usage":null,') -> bytes:
    return _framed(_CHUNK % (choices, usage, "aX3k9Qz"))


_DELTA_BYTES: Final = _chunk(_DELTA % (WORD, "null"))
_END_BYTES: Final = (
    _chunk(_DELTA.replace('"content":"%s"', "") % '"stop"') + _chunk("", _USAGE) + _framed("[DONE]") + b"0\r\n\r\n"
)
_WHOLE_BODY: Final = (_WHOLE % (WORD * 50, _USAGE)).encode()
_WHOLE_BYTES: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_WHOLE_BODY)
) + _WHOLE_BODY


class Upstream(asyncio.Protocol):
    """Answers each request as its prompt asks, on asyncio's own loop: there each write is a packet of its own."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if not found or length is None or len(body) < int(length[1]):
            return
        self._received = b""
        asked = _ASKED.search(body)
        assert asked is not None
        deltas, per_second = int(asked[1]), int(asked[2])
        if not deltas:
            self._transport.write(_WHOLE_BYTES)
            return
        self._transport.write(_HEAD_STREAM)
        loop = asyncio.get_running_loop()
        self._pace(deltas, loop.time(), 1 / per_second if per_second else 0.0, loop)

    def _pace(self, left: int, at: float, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        if self._transport.is_closing():
            return
        if not left:
            self._transport.write(_END_BYTES)
            return
        self._transport.write(_DELTA_BYTES)
        if seconds:
            loop.call_at(at + seconds, self._pace, left - 1, at + seconds, seconds, loop)
        else:
            loop.call_soon(self._pace, left - 1, at, seconds, loop)


class Client(asyncio.Protocol):
    """Makes calls on one connection, one after the other, as long as there are any."""

    def __init__(self, load: Load, make: Callable[[], bytes | None], firsts: list[float]) -> None:
        self._load = load
        self._make = make
        self._firsts = firsts
        self._received = b""
        self._is_first = True
        self._asked_at = 0.0
        self.events = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        if self._is_first and (b"delta" in data or not self._load.deltas):
            self._is_first = False
            self._firsts.append(time.perf_counter() - self._asked_at)
        self._received += data
        if self._load.deltas:
            is_whole = data.endswith(b"0\r\n\r\n")
        else:
            head, found, body = self._received.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            is_whole = bool(found) and length is not None and len(body) >= int(length[1])
        if is_whole:
            self._check()
            self._next()

    def _next(self) -> None:
        call = self._make()
        if call is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._received = b""
        self._is_first = True
        self._asked_at = time.perf_counter()
        self._transport.write(call)

    def _check(self) -> None:
        head, _, body = self._received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(self._received[:500].decode())
        if not self._load.deltas:
            assert body.count(WORD.encode()) == 50, body
            return
        text = b"".join(part for part in re.split(rb"\r\n[0-9a-fA-F]+\r\n|^[0-9a-fA-F]+\r\n", body))
        self.events += text.count(b"event: delta")
        words = text.count(WORD.encode())
        if b"event: final" in text:  # which repeats them all
            assert words == 2 * self._load.deltas, text
        else:
            assert words == self._load.deltas, text


def _call(port: int, secret: bytes, load: Load) -> bytes:
    prompt = f"bench {load.deltas} {load.per_second}"
    body = json.dumps(
        {
            "model": "gpt-5.2",
            "messages": [{"role": "user", "content": "An earlier question. " * 10}] * 8
            + [{"role": "user", "content": prompt}],
            "stream": bool(load.deltas),
            "max_completion_tokens": 1000,
            "metadata": {
                name: str(uuid.uuid4()) for name in ("company_id", "user_id", "conversation_id", "message_id")
            },
        }
    ).encode()
    headers = {
        "Host": f"127.0.0.1:{port}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "X-Request-ID": uuid.uuid4().hex,
        **sign(secret, "POST", "/v1/chat", body, unix_seconds=int(time.time())),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /v1/chat HTTP/1.1\r\n{head}\r\n".encode() + body


async def serve(port: int) -> None:
    """Be the upstream until ended."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


async def drive(port: int, secret: str, load: Load) -> Outcome:
    """Be the client."""
    left = load.calls

    def make() -> bytes | None:
        nonlocal left
        left -= 1
        return _call(port, secret.encode(), load) if left >= 0 else None

    loop = asyncio.get_running_loop()
    firsts: list[float] = []
    started_at = time.perf_counter()
    clients: list[Client] = []
    for _ in range(load.streams):
        _, client = await loop.create_connection(lambda: Client(load, make, firsts), "127.0.0.1", port)
        clients.append(client)
        if load.per_second:  # spread the streams over the time between two deltas
            await asyncio.sleep(1 / load.per_second / load.streams)
    await asyncio.gather(*(client.done for client in clients))
    seconds = time.perf_counter() - started_at
    assert len(firsts) == load.calls
    hundredths = statistics.quantiles(firsts, n=100)
    events = sum(client.events for client in clients)
    return Outcome(seconds, events, hundredths[49] * 1000, hundredths[98] * 1000)


if __name__ == "__main__":
    if sys.argv[1] == "upstream":
        asyncio.run(serve(int(sys.argv[2])))
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(
                json.dumps(runner.run(drive(int(sys.argv[2]), sys.argv[3], Load(**json.loads(sys.argv[4]))))._asdict())
            )
