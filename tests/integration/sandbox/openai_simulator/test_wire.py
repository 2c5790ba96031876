"""What the simulator puts on the wire, seen without the SDK."""

import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from b2b_chat.kit.settings import Secret
from b2b_chat.sandbox.openai_simulator import SimulatorSettings
from b2b_chat.sandbox.openai_simulator.api_errors import ERRORS
from b2b_chat.sandbox.openai_simulator.events import MALFORMED
from support.openai.simulated import CHAT_PATH, Wire, simulated_openai


def events_of(body: bytes) -> list[bytes]:
    """The data of each event of a plainly framed stream."""
    *events, rest = body.split(b"\n\n")
    assert rest == b""
    return [event.removeprefix(b"data: ") for event in events]


async def stream(wire: Wire, directives: str = "", **asked: Any) -> list[bytes]:
    """The events of a whole stream."""
    async with wire.post(directives, stream=True, **asked) as response:
        assert response.status == 200
        return events_of(await response.read())


async def broken_stream(wire: Wire, directives: str) -> tuple[bytes, str]:
    """What came of a stream that breaks, and the reason given by aiohttp."""
    came = b""
    async with wire.post(directives, stream=True) as response:
        try:
            async for part in response.content.iter_any():
                came += part
        except aiohttp.ClientPayloadError as error:
            return came, str(error)
    pytest.fail("the stream did not break")


async def document(wire: Wire, directives: str = "", **asked: Any) -> dict[str, Any]:
    """A whole answer without streaming."""
    async with wire.post(directives, **asked) as response:
        assert response.status == 200
        answer: dict[str, Any] = await response.json()
        return answer


def deltas_of(events: list[bytes]) -> list[str]:
    """The texts of a stream's content chunks."""
    deltas = [json.loads(event)["choices"][0]["delta"] for event in events if b'"delta":{' in event]
    return [delta["content"] for delta in deltas if delta.get("content")]


# Who may call, and what is a call.


async def test_health_is_open(wire: Wire) -> None:
    async with aiohttp.ClientSession(wire.url) as anyone, anyone.get("/health") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer "}])
async def test_a_call_without_a_key_is_refused(wire: Wire, headers: dict[str, str]) -> None:
    async with aiohttp.ClientSession(wire.url) as anyone, anyone.post(CHAT_PATH, headers=headers) as response:
        error = (await response.json())["error"]

    assert response.status == 401
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["message"].startswith("You didn't provide an API key.")


async def test_a_wrong_key_is_refused_where_one_is_expected() -> None:
    async with simulated_openai(SimulatorSettings(expected_api_key=Secret("sk-right"))) as wire:
        async with wire.post() as response:
            assert response.status == 401
            assert (await response.json())["error"]["code"] == "invalid_api_key"
        wire.http.headers["Authorization"] = "Bearer sk-right"
        await document(wire)


@pytest.mark.parametrize(
    ("method", "path", "status", "told"),
    [
        ("GET", CHAT_PATH, 405, "Not allowed to GET on /v1/chat/completions."),
        ("POST", "/v1/completions", 404, "Invalid URL (POST /v1/completions)"),
        ("POST", "/elsewhere", 404, "Not found"),
        ("POST", "/simulator/requests", 404, "Not found"),
    ],
)
async def test_other_addresses(wire: Wire, method: str, path: str, status: int, told: str) -> None:
    async with wire.http.request(method, path) as response:
        assert response.status == status
        assert (await response.json())["error"]["message"].startswith(told)


async def test_a_wrong_body_is_refused(wire: Wire) -> None:
    async with wire.post(max_completion_tokens=0) as response:
        assert response.status == 400
        assert (await response.json())["error"]["param"] == "max_completion_tokens"


# Plain answers.


async def test_the_headers_of_a_stream_are_openais(wire: Wire) -> None:
    async with wire.post(stream=True) as response:
        await response.read()

    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-request-id"].startswith("req_")
    assert response.headers["openai-processing-ms"].isdigit()
    assert response.headers["openai-version"] == "2020-10-01"


async def test_a_stream_is_one_event_a_token_and_ends_with_done(wire: Wire) -> None:
    events = await stream(wire, "tokens=5")

    assert len(events) == 1 + 5 + 1 + 1 + 1
    assert len(deltas_of(events)) == 5
    assert events[-1] == b"[DONE]"


async def test_directives_in_the_prompt_work_and_are_not_repeated(wire: Wire) -> None:
    answer = await document(wire, prompt="Hello [[simulate: cached_tokens=4]]")

    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 4
    assert "“Hello”" in answer["choices"][0]["message"]["content"]


async def test_the_header_wins_over_the_prompt_and_both_over_the_settings() -> None:
    async with simulated_openai(SimulatorSettings(directives="tokens=1; reasoning_tokens=7")) as wire:
        usage = (await document(wire))["usage"]
        assert usage["completion_tokens"] == 8
        usage = (await document(wire, prompt="[[simulate: tokens=2; cached_tokens=3]]"))["usage"]
        assert (usage["completion_tokens"], usage["prompt_tokens_details"]["cached_tokens"]) == (9, 3)
        usage = (await document(wire, "tokens=5", prompt="[[simulate: tokens=2; cached_tokens=3]]"))["usage"]
        assert (usage["completion_tokens"], usage["prompt_tokens_details"]["cached_tokens"]) == (12, 3)


async def test_a_mistaken_directive_is_reported(wire: Wire) -> None:
    async with wire.post("statuss=500") as response:
        assert response.status == 400
        assert (await response.json())["error"]["code"] == "simulator_directive"


async def test_a_paced_stream_is_complete(wire: Wire) -> None:
    assert len(deltas_of(await stream(wire, "tokens=5; tps=500; first_token_delay_ms=1; delay_ms=1"))) == 5


async def test_a_paced_document_is_complete(wire: Wire) -> None:
    assert (await document(wire, "tokens=5; tps=500"))["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize("burst", [1, 3, 1000])
async def test_bursts_change_no_byte_of_the_text(wire: Wire, burst: int) -> None:
    assert deltas_of(await stream(wire, f"burst={burst}")) == deltas_of(await stream(wire))


# Refusals.


@pytest.mark.parametrize("name", list(ERRORS))
async def test_every_error_can_be_had(wire: Wire, name: str) -> None:
    async with wire.post(f"error={name}") as response:
        assert response.status == ERRORS[name].status
        assert await response.read() == ERRORS[name].body
        assert response.content_type == ERRORS[name].content_type.decode()
        assert "Retry-After" not in response.headers


async def test_a_status_alone_is_enough_and_changes_an_error(wire: Wire) -> None:
    async with wire.post("status=503", stream=True) as response:
        assert (response.status, await response.read()) == (503, ERRORS["overloaded"].body)
    async with wire.post("status=500; error=bad_gateway") as response:
        assert (response.status, response.content_type) == (500, "text/html")


async def test_retry_after_is_sent_as_it_was_asked(wire: Wire) -> None:
    async with wire.post("status=429; retry_after=Wed, 21 Oct 2026 07:28:00 GMT; retry_after_ms=1500") as response:
        assert response.headers["Retry-After"] == "Wed, 21 Oct 2026 07:28:00 GMT"
        assert response.headers["retry-after-ms"] == "1500"


async def test_a_key_fails_so_often_and_then_answers(wire: Wire) -> None:
    async def status(key: str) -> int:
        async with wire.post(f"status=500; key={key}; fail_times=2") as response:
            code: int = response.status
            return code

    assert [await status(key) for key in "aabaa"] == [500, 500, 500, 200, 200]


# Connections that break.


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


# Streams that say strange things.


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
