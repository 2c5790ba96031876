"""What the simulator can break on the wire: connections, events, endings and framing."""

import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from b2b_chat.sandbox.openai_simulator.events import MALFORMED
from support.openai.reading import broken_stream, deltas_of, document, events_of, stream
from support.openai.simulated import Wire


@pytest.mark.parametrize("how", [{}, {"stream": True}])
async def test_the_connection_may_be_closed_or_reset_before_the_headers(wire: Wire, how: dict[str, Any]) -> None:
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await wire.post("close", **how)
    with pytest.raises(aiohttp.ClientOSError, match="Connection reset by peer"):
        await wire.post("reset", **how)


async def test_a_stream_may_be_cut(wire: Wire) -> None:
    came, error = await broken_stream(wire, "cut_after=2")

    assert len(deltas_of(events_of(came))) == 2
    assert "Connection reset" not in error


async def test_a_stream_may_be_reset(wire: Wire) -> None:
    came, error = await broken_stream(wire, "reset_after=2")

    assert len(deltas_of(events_of(came))) == 2
    assert "Connection reset" in error


async def test_a_stream_may_end_in_half_a_chunk(wire: Wire) -> None:
    came, _ = await broken_stream(wire, "half_chunk_after=2")
    *whole, half = came.split(b"\n\n")

    assert len(deltas_of([event.removeprefix(b"data: ") for event in whole])) == 2
    assert half == b'data: {"id":"chatcmpl-half'


@pytest.mark.parametrize("directives", ["cut_after=1", "reset_after=1", "half_chunk_after=1"])
async def test_a_document_may_break_in_its_middle(wire: Wire, directives: str) -> None:
    async with wire.post(directives) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_may_stall_and_go_on(wire: Wire, *, stream: bool) -> None:
    async with wire.post("tokens=4; stall_after=2; stall_seconds=0.01", stream=stream) as response:
        body = await response.read()

    assert body.endswith(b"data: [DONE]\n\n") if stream else json.loads(body)


@pytest.mark.parametrize("kind", sorted(MALFORMED))
async def test_a_malformed_event_stands_after_its_delta(wire: Wire, kind: str) -> None:
    events = await stream(wire, f"tokens=3; malformed_after=2; malformed={kind}")

    assert b"data: " + events[3] + b"\n\n" == MALFORMED[kind]
    assert len(deltas_of(events)) == 3


async def test_a_malformed_document_is_no_json(wire: Wire) -> None:
    async with wire.post("malformed_after=0") as response:
        body = await response.read()

    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        json.loads(body)


async def test_an_error_may_come_in_the_stream(wire: Wire) -> None:
    events = await stream(wire, "tokens=3; error_after=1; error=rate_limit")

    assert len(events) == 3
    assert json.loads(events[-1])["error"]["code"] == "rate_limit_exceeded"


async def test_an_error_may_come_with_status_200(wire: Wire) -> None:
    assert (await document(wire, "error_after=0"))["error"]["type"] == "server_error"


async def test_the_content_filter_may_end_an_answer(wire: Wire) -> None:
    events = await stream(wire, "content_filter_after=2")

    assert json.loads(events[3])["choices"][0]["finish_reason"] == "content_filter"
    assert (await document(wire, "content_filter_after=2"))["choices"][0]["finish_reason"] == "content_filter"


async def test_the_end_marks_may_be_left_out(wire: Wire) -> None:
    events = await stream(wire, "tokens=1; no_done; no_finish")

    assert len(events) == 3
    assert json.loads(events[-1])["usage"]["completion_tokens"] == 1
    assert (await document(wire, "no_finish"))["choices"][0]["finish_reason"] is None


@pytest.mark.parametrize("how", [document, stream])
async def test_an_answer_may_be_empty(wire: Wire, how: Callable[..., Any]) -> None:
    answer = await how(wire, "tokens=0")

    if isinstance(answer, dict):
        assert answer["choices"][0]["message"]["content"] == ""
    else:
        assert deltas_of(answer) == []
        assert len(answer) == 4


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("normal", "- - reason usage done"),
        ("none", "- - reason done"),
        ("zero", "- - reason zero done"),
        ("bare", "- - reason bare done"),
        ("twice", "- - reason usage usage done"),
        ("after_done", "- - reason done usage"),
        ("with_finish", "- - reason+usage done"),
    ],
)
async def test_usage_may_come_in_many_ways(wire: Wire, kind: str, told: str) -> None:
    def kind_of(event: bytes) -> str:
        if event == b"[DONE]":
            return "done"
        chunk = json.loads(event)
        reason = "reason" if chunk["choices"] and chunk["choices"][0]["finish_reason"] else ""
        usage = chunk["usage"]
        if usage is None:
            return reason or "-"
        figures = "zero" if not usage["total_tokens"] else "usage" if "prompt_tokens_details" in usage else "bare"
        return f"{reason}+{figures}" if reason else figures

    assert " ".join(map(kind_of, await stream(wire, f"tokens=1; usage={kind}"))) == told


async def test_a_document_may_lack_its_usage(wire: Wire) -> None:
    assert "usage" not in await document(wire, "usage=none")
    assert (await document(wire, "usage=zero"))["usage"]["total_tokens"] == 0


@pytest.mark.parametrize("how", [{}, {"stream": True}])
async def test_characters_that_no_database_stores_are_escaped(wire: Wire, how: dict[str, Any]) -> None:
    async with wire.post("text=a%00b%ED%A0%80c", **how) as response:
        body = await response.read()

    assert b"\\u0000" in body
    assert b"\\ud800" in body


@pytest.mark.parametrize(
    ("framing", "first"),
    [
        ("crlf", b"data: {"),
        ("cr", b"data: {"),
        ("comments", b": keep-alive\n\ndata: {"),
        ("fields", b"event: message\nid: 7\nretry: 3000\nnonsense\ndata: {"),
        ("no_space", b"data:{"),
        ("multiline", b"data: {"),
    ],
)
async def test_the_framing_follows_the_directive(wire: Wire, framing: str, first: bytes) -> None:
    marks = {"crlf": b"\r\n\r\n", "cr": b"\r\r", "multiline": b',\ndata: "choices":['}
    async with wire.post(f"framing={framing}; tokens=2", stream=True) as response:
        body = await response.read()

    assert body.startswith(first)
    assert marks.get(framing, b"\n\n") in body
    assert framing not in {"crlf", "cr"} or b"\n\n" not in body
