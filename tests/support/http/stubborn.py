"""A client on a plain socket that sends all of its request before it looks for a response."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

WAIT_SECONDS: Final = 30
_SLICE_BYTES: Final = 65_536
_READING_SECONDS: Final = 0.05


class Received(NamedTuple):
    """A response: its status, headers by lower-case name, and the JSON of its body."""

    status: int
    headers: dict[str, str]
    body: Any


async def send(port: int, head: Sequence[str], *parts: bytes, leaves: bool = False) -> Received | None:
    """Send a request, part by part, and return the response; None for a client that leaves without one.

    Args:
        port: On 127.0.0.1.
        head: The request line and headers, but for Host and Connection.
        parts: The body as it goes over the wire.
        leaves: Reset the connection behind the last part.

    Raises:
        OSError: The server reset the connection.
    """
    async with asyncio.timeout(WAIT_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write("\r\n".join([*head, "Host: here", "Connection: close", "", ""]).encode())
            for part in parts:
                for at in range(0, len(part), _SLICE_BYTES):
                    writer.write(part[at : at + _SLICE_BYTES])
                    await writer.drain()
                await asyncio.sleep(0)
            if leaves:
                await asyncio.sleep(_READING_SECONDS)  # a reset throws away what the server has not read yet
                writer.transport.abort()
                return None
            return _read(await reader.read())
        finally:
            writer.close()


def _read(raw: bytes) -> Received:
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Received(int(status.split(" ")[1]), headers, json.loads(body))


def chunk(body: bytes) -> bytes:
    """A chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(body), body)


LAST_CHUNK: Final = b"0\r\n\r\n"

MALFORMED: Final = {
    "no size": (b"xyz\r\n",),
    "no size after a chunk": (chunk(b'{"a":'), b"zz\r\n"),
    "a negative size": (b"-1\r\n{}\r\n0\r\n\r\n",),
    "a size beyond all numbers": (b"f" * 40 + b"\r\n{}\r\n0\r\n\r\n",),
    "a chunk longer than its size": (b"1\r\n{}\r\n0\r\n\r\n",),
    "no line's end behind a size": (b"2{}0\r\n\r\n",),
    "spaces in a size": (b"1 2\r\n{}\r\n0\r\n\r\n",),
}
"""Chunked bodies that are not framed as HTTP requires."""
