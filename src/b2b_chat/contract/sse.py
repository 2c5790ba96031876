"""Server-sent events: encode one from prepared bytes, decode many from chunks.

Source: WHATWG HTML, "Server-sent events", https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from typing import Final, NamedTuple

CONTENT_TYPE: Final = b"text/event-stream; charset=utf-8"
KEEP_ALIVE: Final = b": keep-alive\n\n"
"""A comment: clients skip it, proxies see traffic."""


class Event(NamedTuple):
    """One decoded event; `name` is "message" where the stream names none."""

    name: str
    data: bytes
    id: str | None


class EventTooLarge(Exception):
    """A stream sent more bytes without ending an event than the reader is willing to hold."""


def encode(name: bytes, data: bytes, *, event_id: bytes | None = None) -> bytes:
    """One event as bytes. `data` must not hold a newline; JSON made by msgspec never does."""
    if event_id is None:
        return b"event: %b\ndata: %b\n\n" % (name, data)
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event_id, name, data)


class Decoder:
    """Turns the chunks of one stream into events, wherever the chunks were cut.

    Line ends may be LF, CRLF or CR. An event that the stream does not end with a blank line is not an event.
    """

    def __init__(self, *, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._rest = b""
        self._ends_in_cr = False

    @property
    def is_empty(self) -> bool:
        """Whether what comes next begins an event."""
        return not self._rest and not self._ends_in_cr

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes.

        Raises:
            EventTooLarge: More than `max_event_bytes` came without an event's end.
        """
        if self._ends_in_cr and chunk.startswith(b"\n"):  # the second half of a CRLF
            self._ends_in_cr = False
            chunk = chunk[1:]
        if not chunk:
            return []
        self._ends_in_cr = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        buffer = self._rest + chunk
        *blocks, self._rest = buffer.split(b"\n\n")
        if len(self._rest) > self._max_event_bytes:
            raise EventTooLarge
        return [event for block in blocks if (event := _parse(block))]


def _parse(block: bytes) -> Event | None:
    if block.startswith(b"data: ") and b"\n" not in block:  # as OpenAI writes nearly all of them
        return Event("message", block[6:], None)
    head, found, data_line = block.partition(b"\ndata: ")
    if found and head.startswith(b"event: ") and b"\n" not in head and b"\n" not in data_line:
        # The form that `encode` gives an event: a quarter of the cost for what is nearly all that comes.
        return Event(head[7:].decode(errors="replace") or "message", data_line, None)
    return _parse_lines(block)


def _parse_lines(block: bytes) -> Event | None:
    name, event_id, data = "message", None, []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode(errors="replace") or "message"
        elif field == b"id" and b"\0" not in value:
            event_id = value.decode(errors="replace")
    return Event(name, b"\n".join(data), event_id) if data else None
