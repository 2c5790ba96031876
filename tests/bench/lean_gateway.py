"""A gateway that costs next to nothing, so that what is measured is product_api.

    uv run python tests/bench/lean_gateway.py PORT

Answers each call as its last message asks: `deltas=100 gap=0.05 wait=0` are 100 deltas of 8 characters, 50 ms apart,
the first after 0 s. Without a gap all of a stream is written at once. Signatures are not looked at.
"""

import asyncio
import re
import sys
from typing import Final, cast

import uvloop

from b2b_chat.contract.sse import KEEP_ALIVE

PIECE: Final = "a piece "
_ASKED: Final = re.compile(rb"deltas=(\d+) gap=([\d.]+) wait=([\d.]+)")
_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


DELTA: Final = chunk(b'event: delta\ndata: {"text":"%b"}\n\n' % PIECE.encode())


def result(deltas: int) -> bytes:
    usage = b'{"prompt_tokens":10,"completion_tokens":%d,"total_tokens":%d}' % (deltas, deltas + 10)
    return b'{"text":"%b","usage":%b}' % (PIECE.encode() * deltas, usage)


class LeanGateway(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def connection_lost(self, _error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if found and length is not None and len(body) >= int(length[1]):
            self._received = b""
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        asked = _ASKED.findall(body)[-1]
        deltas, gap, wait = int(asked[0]), float(asked[1]), float(asked[2])
        if b'"stream":true' not in body:
            whole = result(deltas)
            self._write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (len(whole), whole)
            )
            return
        end = chunk(b"event: final\ndata: %b\n\n" % result(deltas)) + chunk(b"")
        if not gap and not wait:
            self._write(_HEAD + chunk(KEEP_ALIVE))
            self._write(DELTA * deltas + end)
            return
        self._write(_HEAD + chunk(KEEP_ALIVE))
        loop = asyncio.get_running_loop()
        first_at = loop.time() + wait

        def tick(number: int) -> None:
            if number == deltas:
                self._write(end)
                return
            self._write(DELTA)
            self._timer = loop.call_at(first_at + (number + 1) * gap, tick, number + 1)

        self._timer = loop.call_at(first_at, tick, 0)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(LeanGateway, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
