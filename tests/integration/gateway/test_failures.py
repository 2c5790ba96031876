"""Every way in which OpenAI can fail, against a server on a socket, in both modes."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from b2b_chat.contract.errors import FAILURES, Code
from support.gateway.app import Gateway, events_of, failure_of, gateway, gateway_settings
from support.http.serving import free_port
from support.openai.raw import FINISH, Reply, data, delta, raw_upstream, sending, streaming, whole
from support.openai.simulated import Wire
from support.processes.waiting import until

both_modes = pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])


def check(response: httpx.Response, code: Code) -> None:
    """The response says so, in the agreed shape and with the row's status, or by an event where it had begun."""
    failure = FAILURES[code]
    error = failure_of(response)
    in_mid_answer = response.status_code == HTTPStatus.OK
    assert error == {
        "type": failure.type,
        "code": code,
        "message": failure.message,
        "retryable": failure.retryable,
        **({"upstream": "primary"} if in_mid_answer else {}),
    }
    assert response.status_code in {failure.status, 200}
    if response.status_code == 200:
        assert events_of(response)[0].name == "delta"
        assert [event.name for event in events_of(response)].count("error") == 1


REFUSALS = {
    "error=bad_request": "upstream_rejected",
    "error=context_length_exceeded": "context_length_exceeded",
    "error=content_filter": "content_filtered",
    "error=invalid_api_key": "upstream_authentication",
    "error=forbidden": "upstream_permission",
    "error=model_not_found": "upstream_not_found",
    "error=request_timeout": "upstream_timeout",
    "error=conflict": "upstream_conflict",
    "error=too_large": "upstream_payload_too_large",
    "error=unprocessable": "upstream_unprocessable",
    "error=rate_limit": "upstream_rate_limited",
    "error=insufficient_quota": "upstream_quota_exhausted",
    "error=server_error": "upstream_failed",
    "error=bad_gateway": "upstream_failed",
    "error=overloaded": "upstream_unavailable",
    "error=gateway_timeout": "upstream_timeout",
    "status=402": "upstream_quota_exhausted",
    "status=599": "upstream_failed",
}


@both_modes
@pytest.mark.parametrize(("directive", "code"), REFUSALS.items(), ids=REFUSALS)
async def test_a_refusal(openai: Wire, patient: Gateway, directive: str, code: Code, *, stream: bool) -> None:
    await openai.forget()
    response = await patient.post(f"[[simulate: {directive}]]", stream=stream)
    assert response.status_code == FAILURES[code].status
    check(response, code)
    assert "retry-after" not in response.headers
    assert len(await openai.seen()) == 1


@both_modes
@pytest.mark.parametrize(
    ("directive", "seconds"),
    [
        ("error=rate_limit;retry_after=7", "7"),
        ("error=rate_limit;retry_after_ms=1500", "2"),
        ("error=overloaded;retry_after=7", "7"),
        ("error=rate_limit;retry_after=soon", None),
    ],
)
async def test_when_to_come_back_is_passed_on(
    patient: Gateway, directive: str, seconds: str | None, *, stream: bool
) -> None:
    response = await patient.post(f"[[simulate: {directive}]]", stream=stream)
    assert response.headers.get("retry-after") == seconds


BREAKS_BEFORE_ANY_TEXT = {
    "close": "upstream_unreachable",
    "reset": "upstream_unreachable",
    "cut_after=0": "upstream_truncated",
    "reset_after=0": "upstream_truncated",
    "half_chunk_after=0": "upstream_truncated",
    "malformed_after=0": "upstream_malformed",
    "error_after=0": "upstream_failed",
    "error_after=0;error=rate_limit": "upstream_rate_limited",
    "error_after=0;error=context_length_exceeded": "context_length_exceeded",
    "content_filter_after=0": "content_filtered",
    "tokens=0;no_finish": "upstream_truncated",
    "tokens=0": "upstream_empty",
}


@both_modes
@pytest.mark.parametrize(("directive", "code"), BREAKS_BEFORE_ANY_TEXT.items(), ids=BREAKS_BEFORE_ANY_TEXT)
async def test_a_break_before_any_text(patient: Gateway, directive: str, code: Code, *, stream: bool) -> None:
    response = await patient.post(f"[[simulate: {directive}]]", stream=stream)
    assert response.status_code == FAILURES[code].status
    check(response, code)


BREAKS_IN_MID_ANSWER = {
    "cut_after=3": "upstream_truncated",
    "reset_after=3": "upstream_truncated",
    "half_chunk_after=3": "upstream_truncated",
    "malformed_after=3": "upstream_malformed",
    "malformed_after=3;malformed=array": "upstream_malformed",
    "malformed_after=3;malformed=number": "upstream_malformed",
    "malformed_after=3;malformed=shape": "upstream_malformed",
    "error_after=3": "upstream_failed",
    "error_after=3;error=overloaded": "upstream_unavailable",
    "error_after=3;error=insufficient_quota": "upstream_quota_exhausted",
    "tokens=5;no_finish": "upstream_truncated",
    "tokens=5;no_finish;no_done": "upstream_truncated",
}


@pytest.mark.parametrize(("directive", "code"), BREAKS_IN_MID_ANSWER.items(), ids=BREAKS_IN_MID_ANSWER)
async def test_a_break_mid_answer(openai: Wire, patient: Gateway, directive: str, code: Code) -> None:
    await openai.forget()
    response = await patient.post(f"[[simulate: {directive};tps=100]]", stream=True)
    assert response.status_code == 200
    check(response, code)
    assert len(await openai.seen()) == 1


TIME_OUTS = [
    ("no_answer", True, "upstream_timeout"),
    ("no_answer", False, "upstream_timeout"),
    ("delay_ms=2000", True, "upstream_timeout"),
    ("delay_ms=2000", False, "upstream_timeout"),
    ("first_token_delay_ms=2000", True, "upstream_timeout"),
    ("first_token_delay_ms=2000", False, "upstream_timeout"),
    ("stall_after=0", True, "upstream_timeout"),
    ("stall_after=3;tps=100", True, "upstream_stalled"),
    ("stall_after=3", False, "upstream_timeout"),
    ("tps=20;tokens=100", True, "upstream_timeout"),
    ("tps=20;tokens=100", False, "upstream_timeout"),
]


@pytest.mark.parametrize(("directive", "stream", "code"), TIME_OUTS)
async def test_every_wait_has_a_deadline(
    openai: Wire, hasty: Gateway, directive: str, code: Code, *, stream: bool
) -> None:
    await openai.forget()
    response = await hasty.post(f"[[simulate: {directive}]]", stream=stream)
    check(response, code)

    async def is_closed() -> bool:
        (call,) = await openai.seen()
        return bool(call["outcome"] == "client_gone")

    await until(is_closed)


@asynccontextmanager
async def gateway_before(reply: Reply) -> AsyncIterator[Gateway]:
    async with raw_upstream(reply) as upstream, gateway(gateway_settings(openai_base_url=upstream.url)) as client:
        yield client


def ended(reason: str) -> bytes:
    return data({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})


PAGE = b"<html><body>Welcome to nginx!</body></html>"
STRANGE_ANSWERS: dict[str, tuple[Reply, str]] = {
    "page": (whole(PAGE, content_type="text/html"), "upstream_malformed"),
    "no_type": (sending(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), "upstream_malformed"),
    "empty": (whole(b""), "upstream_truncated"),
    "redirect": (
        whole(PAGE, status="302 Found\r\nLocation: http://127.0.0.1:9/elsewhere", content_type="text/html"),
        "upstream_not_found",
    ),
    "no_http": (sending(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "upstream_malformed"),
    "half_a_head": (sending(b"HTTP/1.1 200 OK\r\nContent-Ty"), "upstream_unreachable"),
    "half_an_error": (
        sending(b"HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"),
        "upstream_unavailable",
    ),
    "an_error_in_words": (whole(b"busy", status="503 Busy", content_type="text/plain"), "upstream_unavailable"),
    "an_error_of_another_shape": (whole(b'["busy"]', status="503 Busy"), "upstream_unavailable"),
}


@both_modes
@pytest.mark.parametrize(("reply", "code"), STRANGE_ANSWERS.values(), ids=STRANGE_ANSWERS)
async def test_a_strange_answer(reply: Reply, code: Code, *, stream: bool) -> None:
    async with gateway_before(reply) as client:
        response = await client.post(stream=stream)
    assert response.status_code == FAILURES[code].status
    check(response, code)


STRANGE_STREAMS: dict[str, tuple[Reply, str]] = {
    "half_an_event": (streaming(delta("a"), delta("b")[:20]), "upstream_truncated"),
    "no_end_mark_and_no_end": (streaming(delta("a"), FINISH, end=False), "upstream_truncated"),
    "unknown_reason": (streaming(delta("a"), ended("error")), "upstream_failed"),
    "connection_ended": (streaming(delta("a"), end=False), "upstream_truncated"),
    "endless_event": (streaming(delta("a"), b"data: " + b"a" * 1_100_000), "upstream_malformed"),
    "bad_gzip": (
        sending(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: 9\r\n\r\nnot gzip!"
        ),
        "upstream_malformed",
    ),
    "bad_chunk": (
        sending(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        "upstream_malformed",
    ),
    "an_error_in_mid_answer": (streaming(delta("a"), data({"error": {"message": "secret"}})), "upstream_failed"),
}


@pytest.mark.parametrize(("reply", "code"), STRANGE_STREAMS.values(), ids=STRANGE_STREAMS)
async def test_a_strange_stream(reply: Reply, code: Code) -> None:
    async with gateway_before(reply) as client:
        response = await client.post(stream=True)
    check(response, code)
    assert "secret" not in response.text


async def test_an_answer_of_endless_size_is_not_kept() -> None:
    async def endless(call: Any) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await call.send_chunk(b" " * 1_000_000)

    async with gateway_before(endless) as client:
        check(await client.post(), "upstream_malformed")


@both_modes
async def test_nothing_listens(*, stream: bool) -> None:
    settings = gateway_settings(openai_base_url=f"http://127.0.0.1:{free_port()}/v1")
    async with gateway(settings) as client:
        check(await client.post(stream=stream), "upstream_unreachable")


@contextmanager
def deaf_port() -> Iterator[int]:
    """A port that accepts no connection: its queue is full."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = server.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.settimeout(0)
            one.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for one in waiting:
                one.close()


@both_modes
async def test_no_connection_is_accepted(*, stream: bool) -> None:
    with deaf_port() as port:
        settings = gateway_settings(openai_base_url=f"http://127.0.0.1:{port}/v1", upstream_connect_timeout_seconds=0.2)
        async with gateway(settings) as client:
            check(await client.post(stream=stream), "upstream_unreachable")


async def test_a_name_that_does_not_exist() -> None:
    async with gateway(gateway_settings(openai_base_url="http://openai.invalid/v1")) as client:
        check(await client.post(), "upstream_unreachable")
