"""Servers that speak OpenAI's language with an accent: what they send beside the text never costs it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import msgspec
import pytest

from b2b_chat.contract.errors import Code
from support.gateway.app import Gateway, events_of, failure_of, gateway, gateway_settings
from support.openai.raw import DONE, FINISH, USAGE, RawCall, RawUpstream, Reply, data, delta, raw_upstream, streaming

both_modes = pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
TEXT: Final = "Привет 🚀"
STREAM: Final = delta("При") + delta("вет 🚀") + FINISH + USAGE + DONE
DOCUMENT: Final = msgspec.json.encode(
    {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
)


def answering(body: bytes, *, status: str = "200 OK", headers: str = "", end: str = "length") -> Reply:
    """A body with these headers; it ends by its length, by its last chunk, or with its connection."""

    async def reply(call: RawCall) -> None:
        ends = {"length": f"Content-Length: {len(body)}\r\n", "chunk": "Transfer-Encoding: chunked\r\n"}
        await call.send(f"HTTP/1.1 {status}\r\n{headers}{ends.get(end, '')}\r\n".encode())
        if end == "chunk":
            for start in range(0, len(body), 7):
                await call.send_chunk(body[start : start + 7])
            await call.send_chunk(b"")
        else:
            await call.send(body)
        if end == "connection":
            call.hang_up()

    return reply


@asynccontextmanager
async def asked(reply: Reply, **changes: Any) -> AsyncIterator[tuple[Gateway, RawUpstream]]:
    async with (
        raw_upstream(reply) as upstream,
        gateway(gateway_settings(openai_base_url=upstream.url, upstream_max_attempts=3, **changes)) as client,
    ):
        yield client, upstream


def result_of(response: httpx.Response) -> dict[str, Any]:
    """The result, after a check that the deltas of a stream say the same."""
    assert response.status_code == 200, response.text
    if "json" in response.headers["content-type"]:
        whole: dict[str, Any] = response.json()
        return whole
    *deltas, final = events_of(response)
    assert final.name == "final", final
    result: dict[str, Any] = msgspec.json.decode(final.data)
    assert "".join(msgspec.json.decode(event.data)["text"] for event in deltas) == result["text"]
    return result


HEADERS = {
    "none": "",
    "event_stream": "Content-Type: text/event-stream\r\n",
    "charset": "content-type: text/event-stream;charset=UTF-8\r\n",
    "capitals": "Content-Type: Text/Event-Stream ; Charset=utf-8\r\n",
    "json": "Content-Type: application/json; charset=utf-8\r\n",
    "problem": "Content-Type: application/problem+json\r\n",
    "ndjson": "Content-Type: application/x-ndjson\r\n",
    "plain": "Content-Type: text/plain\r\n",
    "octets": "Content-Type: application/octet-stream\r\n",
    "empty_type": "Content-Type:\r\n",
    "identity": "Content-Encoding: identity\r\n",
    "no_encoding": "Content-Encoding: none\r\n",
    "utf_8_encoding": "Content-Encoding: UTF-8\r\n",
    "empty_encoding": "Content-Encoding:\r\n",
}


@both_modes
@pytest.mark.parametrize("end", ["length", "chunk", "connection"])
@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
async def test_what_a_body_says_of_itself_does_not_matter(headers: str, end: str, *, stream: bool) -> None:
    for body in (STREAM, DOCUMENT):  # some stream what was asked whole, some answer whole what was to be streamed
        async with asked(answering(body, headers=headers, end=end)) as (client, _):
            result = result_of(await client.post(stream=stream))
        assert (result["text"], result["finish_reason"], result["usage"]["total_tokens"]) == (TEXT, "stop", 5)


@both_modes
@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "gzip, identity"])
async def test_a_compressed_body_fails_clearly(coding: str, *, stream: bool) -> None:
    async with asked(answering(b"\x1f\x8b\x08", headers=f"Content-Encoding: {coding}\r\n")) as (client, _):
        assert failure_of(await client.post(stream=stream))["code"] == "upstream_malformed"


KEPT_ALIVE = {
    "ping": b"event: ping\ndata: {}\n\n",
    "keep_alive": b'event: keepalive\ndata: {"type":"keepalive","sequence_number":3}\n\n',
    "comment": b": OPENROUTER PROCESSING\n\n",
    "no_data": b"data:\n\n",
    "object": data({}),
    "null_delta": data({"choices": [{"delta": None}]}),
    "null_choices": data({"choices": None, "usage": None}),
    "newer": b"event: chat.completion.annotations\ndata: [1]\n\n",
}


@pytest.mark.parametrize("event", KEPT_ALIVE.values(), ids=KEPT_ALIVE)
async def test_what_keeps_a_stream_alive_is_no_part_of_it(event: bytes) -> None:
    parts = (event, delta("При"), event, event, delta("вет 🚀"), event, FINISH, event, USAGE, event, DONE)
    async with asked(streaming(*parts)) as (client, _):
        result = result_of(await client.post(stream=True))
    assert (result["text"], result["usage"]["total_tokens"]) == (TEXT, 5)


ENDS = {
    "no_mark": [FINISH, USAGE],
    "no_blank_line": [FINISH, USAGE, DONE[:-1]],
    "half_a_mark": [FINISH, USAGE, b"data: [DO"],
    "no_line_end": [FINISH, USAGE[:-2]],
    "carriage_returns": [FINISH.replace(b"\n", b"\r"), USAGE.replace(b"\n", b"\r\n"), DONE[:-2] + b"\r"],
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_an_answer_with_its_reason_and_a_clean_end_stands(end: list[bytes]) -> None:
    async with asked(streaming(delta(TEXT), *end)) as (client, upstream):
        result = result_of(await client.post(stream=True))
        assert len(upstream.calls) == 1
    assert (result["text"], result["usage"]["total_tokens"]) == (TEXT, 5)


async def test_halves_of_a_character_in_two_events_are_one() -> None:
    halves = [b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % half for half in (rb"\ud83d", rb"\ude80")]
    async with asked(streaming(delta("Привет "), *halves, FINISH, USAGE, DONE)) as (client, _):
        assert result_of(await client.post(stream=True))["text"] == TEXT


TPM = "Request too large for gpt-5.2 on tokens per min (TPM): Limit 30000, Requested 31538."
NEVER_PASSES: dict[str, tuple[str, Any, Code]] = {
    "larger_than_the_minute": (
        "429 Too Many",
        {"error": {"message": TPM, "type": "tokens", "code": "rate_limit_exceeded"}},
        "context_length_exceeded",
    ),
    "flagged": ("400 Bad Request", {"error": {"code": "invalid_prompt"}}, "content_filtered"),
    "too_long": ("400 Bad Request", {"error": {"code": "string_above_max_length"}}, "context_length_exceeded"),
    "too_long_by_words": (
        "500 Error",
        {"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400},
        "context_length_exceeded",
    ),
    "unpaid": ("402 Payment Required", {"error": {"code": "unknown_error", "status": 402}}, "upstream_quota_exhausted"),
    "unpaid_by_words": ("400 Bad Request", {"detail": "Insufficient balance"}, "upstream_quota_exhausted"),
    "unpaid_with_a_good_status": ("200 OK", {"error": {"code": 402, "message": "no"}}, "upstream_quota_exhausted"),
    "unknown_key_with_a_good_status": ("200 OK", {"error": "invalid_api_key"}, "upstream_authentication"),
    "flagged_with_a_good_status": ("200 OK", {"code": "content_filter", "message": "no"}, "content_filtered"),
    "googles": ("400 Bad", [{"error": {"code": 400, "message": "API key not valid."}}], "upstream_authentication"),
}


@both_modes
@pytest.mark.parametrize(("status", "error", "code"), NEVER_PASSES.values(), ids=NEVER_PASSES)
async def test_what_can_never_pass_is_asked_once(status: str, error: Any, code: Code, *, stream: bool) -> None:
    reply = answering(msgspec.json.encode(error), status=status, headers="Content-Type: application/json\r\n")
    async with asked(reply) as (client, upstream):
        assert failure_of(await client.post(stream=stream))["code"] == code
        assert len(upstream.calls) == 1


@pytest.mark.parametrize(("_status", "error", "code"), NEVER_PASSES.values(), ids=NEVER_PASSES)
async def test_nor_is_it_asked_twice_in_a_stream(_status: str, error: Any, code: Code) -> None:
    if isinstance(error, list):
        error = error[0]
    for events in ([data(error)], [delta(""), data({"choices": [], **error})], [b"event: error\n" + data(error)]):
        if "error" not in error and len(events) == 2:
            continue  # of two messages in one event the answer's decides
        async with asked(streaming(*events)) as (client, upstream):
            assert failure_of(await client.post(stream=True))["code"] == code
            assert len(upstream.calls) == 1
