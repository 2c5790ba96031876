"""Server-sent events, from chunks of bytes.

Source: WHATWG HTML, "Server-sent events", https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from typing import Final, NamedTuple

from b2b_chat_client.errors import UnexpectedResponse

_BOM: Final = b"\xef\xbb\xbf"
_MAX_EVENT_BYTES: Final = 16 * 1024 * 1024


class ServerEvent(NamedTuple):
    """One event as it was sent."""

    name: str
    data: bytes
    id: str | None


class Decoder:
    """Turns the chunks of one stream into events, wherever the chunks were cut.

    An event counts once its blank line has come: what a cut leaves of one is dropped, and requested again.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._is_first = True

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Return the events that this chunk completes.

        Raises:
            UnexpectedResponse: An event has no end.
        """
        buffer = self._rest + chunk
        if self._is_first:
            if len(buffer) < len(_BOM):
                self._rest = buffer
                return []
            self._is_first = False
            buffer = buffer.removeprefix(_BOM)
        held = b"\r" if buffer.endswith(b"\r") else b""  # it may be half of a CRLF
        text = buffer[: len(buffer) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *blocks, rest = text.split(b"\n\n")
        self._rest = rest + held
        if len(self._rest) > _MAX_EVENT_BYTES:
            raise UnexpectedResponse("The stream holds an event without an end.")
        return [event for block in blocks if (event := _parse(block)) is not None]


def _parse(block: bytes) -> ServerEvent | None:
    name, event_id = "message", None
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode(errors="replace")
        elif field == b"id":
            event_id = value.decode(errors="replace")
    return ServerEvent(name, b"\n".join(data), event_id) if data else None
