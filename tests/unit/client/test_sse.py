"""Server-sent events, however the bytes were cut."""

import pytest

from b2b_chat_client.errors import UnexpectedResponse
from b2b_chat_client.sse import Decoder, ServerEvent

STREAM = (
    "\ufeffretry: 1000\n\n"
    'id: 1-0\nevent: start\ndata: {"a": 1}\n\n'
    ": a comment\n\n"
    'id: 1-3\r\nevent: delta\r\ndata: {"text": "при"}\r\n\r\n'
    "id: 1-4\revent: delta\rdata: two\rdata:lines\r\r"
    "data\n\n"
).encode()
EVENTS = [
    ServerEvent("start", b'{"a": 1}', "1-0"),
    ServerEvent("delta", '{"text": "при"}'.encode(), "1-3"),
    ServerEvent("delta", b"two\nlines", "1-4"),
    ServerEvent("message", b"", None),
]


def decoded(*chunks: bytes) -> list[ServerEvent]:
    decoder = Decoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def test_every_cut_gives_the_same_events() -> None:
    assert decoded(STREAM) == EVENTS
    assert decoded(*(bytes([byte]) for byte in STREAM)) == EVENTS
    for at in range(len(STREAM)):
        assert decoded(STREAM[:at], STREAM[at:]) == EVENTS, at


def test_what_a_cut_leaves_of_an_event_is_none() -> None:
    whole = b'id: 1-3\nevent: delta\ndata: {"text": "abc"}\n\n'
    for at in range(len(whole)):
        assert decoded(whole[:at]) == [], at


def test_an_event_without_an_end_is_not_held_for_ever() -> None:
    with pytest.raises(UnexpectedResponse):
        decoded(*[b"data: " + b"x" * 1024 * 1024] * 17)
