from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2b_chat.contract.sse import BOM, KEEP_ALIVE, Decoder, Event, EventTooLarge, encode

LINE_ENDS = [b"\n", b"\r\n", b"\r"]


def decode(*chunks: bytes) -> list[Event]:
    decoder = Decoder(max_event_bytes=100_000)
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def test_encodes_an_event() -> None:
    assert encode(b"delta", b'{"text":"a"}') == b'event: delta\ndata: {"text":"a"}\n\n'


def test_encodes_an_event_with_an_id() -> None:
    assert encode(b"delta", b"{}", event_id=b"7") == b"event: delta\ndata: {}\nid: 7\n\n"


def test_reads_what_it_writes() -> None:
    assert decode(encode(b"delta", b"{}", event_id=b"7")) == [Event("delta", b"{}", "7")]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [Event("message", b"a", None)]),
        (b"data:a\n\n", [Event("message", b"a", None)]),
        (b"data:  a\n\n", [Event("message", b" a", None)]),
        (b"data: a\ndata: b\n\n", [Event("message", b"a\nb", None)]),
        (b"data\n\n", [Event("message", b"", None)]),
        (b"event: x\ndata: a\n\n", [Event("x", b"a", None)]),
        (b"event:\ndata: a\n\n", [Event("message", b"a", None)]),
        (b"event: x\n\ndata: a\n\n", [Event("message", b"a", None)]),
        (b"id: 1\ndata: a\n\n", [Event("message", b"a", "1")]),
        (b"id: 1\0\ndata: a\n\n", [Event("message", b"a", None)]),
        (b"retry: 10\nnonsense\nfoo: bar\ndata: a\n\n", [Event("message", b"a", None)]),
        (b": comment\n\ndata: a\n\n", [Event("message", b"a", None)]),
        (KEEP_ALIVE, []),
        (b"\n\n\n\ndata: a\n\n\n\n", [Event("message", b"a", None)]),
        (b"data: a\n", []),
        (b"data: a", []),
        (b"", []),
    ],
)
def test_reads_as_the_specification_says(stream: bytes, events: list[Event]) -> None:
    assert decode(stream) == events


@pytest.mark.parametrize("mark", [b"", BOM])
@pytest.mark.parametrize("stream", [b"data: a\n\n", b": x\n\ndata: a\n\n", b"\ndata: a\n\n", b"data:a\r\r"])
def test_a_byte_order_mark_at_the_start_is_skipped(mark: bytes, stream: bytes) -> None:
    whole = mark + stream
    assert decode(whole) == [Event("message", b"a", None)]
    assert decode(*(bytes([byte]) for byte in whole)) == [Event("message", b"a", None)]


@pytest.mark.parametrize("start", [b"\xef", b"\xef\xbb", b"\xef\xbb\xbe", b"\xef\xbb\xbf\xef\xbb\xbf"])
def test_bytes_that_only_resemble_a_bom_are_content(start: bytes) -> None:
    assert decode(start, b"data: a\n\n") == []


def test_a_bom_in_the_middle_is_content() -> None:
    assert decode(b"data: a\n\n", BOM + b"data: b\n\n") == [Event("message", b"a", None)]


@pytest.mark.parametrize(
    ("rest", "events"),
    [
        (b"", []),
        (b"data: a", [Event("message", b"a", None)]),
        (b"data: a\n", [Event("message", b"a", None)]),
        (b"data: a\r", [Event("message", b"a", None)]),
        (b"data: a\r\n", [Event("message", b"a", None)]),
        (b"event: x\ndata: a\ndata: b", [Event("x", b"a\nb", None)]),
        (b": comment", []),
        (b"\xef\xbb", []),
    ],
)
def test_the_end_of_the_stream_completes_what_has_no_blank_line(rest: bytes, events: list[Event]) -> None:
    decoder = Decoder(max_event_bytes=100)
    decoder.feed(rest)
    assert decoder.finish() == events
    assert decoder.finish() == []


@pytest.mark.parametrize("end", LINE_ENDS)
def test_an_event_is_there_with_the_last_byte_of_its_blank_line(end: bytes) -> None:
    assert decode(b"data: a" + end + end) == [Event("message", b"a", None)]


def test_half_a_crlf_is_not_a_line_end_of_its_own() -> None:
    assert decode(b"data: a\r", b"\n", b"data: b\r", b"\n\r", b"\n") == [Event("message", b"a\nb", None)]


def test_an_event_may_not_grow_for_ever() -> None:
    decoder = Decoder(max_event_bytes=100)
    assert decoder.feed(b"data: " + b"a" * 94) == []
    with pytest.raises(EventTooLarge):
        decoder.feed(b"a")


def test_many_events_may_be_more_than_one_may_be() -> None:
    decoder = Decoder(max_event_bytes=100)
    assert len(decoder.feed(b"data: abc\n\n" * 100)) == 100


field = st.sampled_from([b"data: a", b"data:", b"data: \xd0\xbf", b"event: delta", b"id: 1", b": x", b"retry: 1", b""])


@given(
    lines=st.lists(field, max_size=20), end=st.sampled_from(LINE_ENDS), cuts=st.lists(st.integers(0, 200), max_size=20)
)
def test_it_does_not_matter_where_chunks_are_cut_or_how_lines_end(
    lines: list[bytes], end: bytes, cuts: list[int]
) -> None:
    whole = b"".join(line + end for line in lines)
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    chunks = [whole[a:b] for a, b in pairwise(places)]
    expected = decode(b"".join(line + b"\n" for line in lines))
    assert decode(whole) == expected
    assert decode(*chunks) == expected
    assert decode(*(bytes([byte]) for byte in whole)) == expected


@given(mixed=st.lists(st.tuples(field, st.sampled_from(LINE_ENDS)), max_size=20))
def test_line_ends_may_be_mixed(mixed: list[tuple[bytes, bytes]]) -> None:
    # A lone CR followed by a line that begins with LF would be one line end, and such a line is an empty one.
    whole = b"".join(line + (b"\n" if end == b"\r" and not line else end) for line, end in mixed)
    assert decode(whole) == decode(*(bytes([byte]) for byte in whole))


@given(text=st.text() | st.text(st.sampled_from('aя\\"\u0085\u2027\u2028\u2029\u202a')))
def test_any_text_that_msgspec_encodes_survives(text: str) -> None:
    (event,) = decode(encode(b"delta", msgspec.json.encode({"text": text})))
    assert msgspec.json.decode(event.data) == {"text": text}


@given(text=st.text(st.sampled_from('aя—\\"\u0085\u2028\u2029\x0b\x0c\x1c\x1d\x1e\n\r')))
def test_readers_of_lines_break_only_at_the_ends_of_ours(text: str) -> None:
    event = encode(b"delta", msgspec.json.encode({"text": text}))
    assert event.decode().splitlines() == [line.decode() for line in event.split(b"\n")[:-1]]
