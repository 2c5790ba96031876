"""Server-sent events: encode one from prepared bytes, decode many from chunks.

Source: WHATWG HTML, "Server-sent events", https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from typing import Final, NamedTuple

CONTENT_TYPE: Final = b"text/event-stream; charset=utf-8"
KEEP_ALIVE: Final = b": keep-alive\n\n"
"""A comment: clients skip it, proxies see traffic."""
BOM: Final = b"\xef\xbb\xbf"
"""The byte order mark of UTF-8."""


class Event(NamedTuple):
    """One decoded event; `name` is "message" where the stream names none."""

    name: str
    data: bytes
    id: str | None


class EventTooLarge(Exception):
    """A stream sent more bytes without ending an event than the reader is willing to hold."""


def escaped(data: bytes) -> bytes:
    """Return JSON without the characters at which line readers of clients break although the standard does not.

    U+0085, U+2028 and U+2029 become escapes.
    """
    if b"\xe2\x80" in data:
        data = data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    if b"\xc2\x85" in data:
        data = data.replace(b"\xc2\x85", b"\\u0085")
    return data


def encode(name: bytes, data: bytes, *, event_id: bytes | None = None) -> bytes:
    """Return one event as bytes; `data` is JSON as msgspec makes it, which holds no newline."""
    data = escaped(data)
    if event_id is None:
        return b"event: %b\ndata: %b\n\n" % (name, data)
    # The id comes last: some clients take it for read at once, and would never have the event that was cut after it.
    return b"event: %b\ndata: %b\nid: %b\n\n" % (name, data, event_id)


class Decoder:
    """Turns the chunks of one stream into events, wherever the chunks were cut.

    Line ends may be LF, CRLF or CR; a byte order mark at the start is skipped.
    """

    def __init__(self, *, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._rest = b""
        self._ends_in_cr = False
        self.has_begun = False
        """Whether the start of the stream is past. A reader that parses the first events by itself sets this."""

    @property
    def is_empty(self) -> bool:
        """Whether the next line begins an event."""
        return not self._rest and not self._ends_in_cr

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that this chunk completes.

        Raises:
            EventTooLarge: More than `max_event_bytes` came without an event's end.
        """
        if not self.has_begun:
            chunk = self._rest + chunk
            if len(chunk) < len(BOM) and BOM.startswith(chunk):  # it may still become a whole mark
                self._rest = chunk
                return []
            self._rest = b""
            self.has_begun = True
            chunk = chunk.removeprefix(BOM)
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

    def finish(self) -> list[Event]:
        """Return the event that the stream's end completes, if any, once its last chunk was fed.

        The standard drops an event without a blank line. Servers that close right after their last line exist, and
        what they sent is whole: the body itself ended as it should.
        """
        block, self._rest = self._rest.rstrip(b"\n"), b""
        event = _parse(block)
        return [event] if event else []


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
