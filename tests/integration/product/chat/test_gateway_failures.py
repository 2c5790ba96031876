"""Every way in which no answer comes from the gateway, and what becomes of the message."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from b2b_chat.contract.errors import ACCOUNT_FAULTS, FAILURES, Code
from b2b_chat.contract.schemas import Usage
from support.database.world import Person, World
from support.gateway.fake import (
    EVENTS_HEAD,
    Call,
    FakeGateway,
    Reply,
    answering,
    delta,
    error_event,
    events,
    final,
    refusing,
    sending,
    whole,
)
from support.http.serving import free_port
from support.product.app import Client, answer_of, client_of, error_of, follow, served_product

UNAVAILABLE = (503, "gateway_unavailable")
TIMEOUT = (504, "gateway_timeout")
CUT = (502, "answer_cut")
REFUSED = (502, "gateway_refused")
FILTERED = (422, "content_filtered")
TOO_LONG = (422, "context_length_exceeded")
REJECTED = (422, "message_rejected")
EMPTY = (502, "answer_empty")
NO_MODEL = (503, "model_unavailable")
DEFECT = (500, "internal_error")

BY_CODE = {
    "context_length_exceeded": TOO_LONG,
    "upstream_payload_too_large": TOO_LONG,
    "content_filtered": FILTERED,
    "company_busy": (503, "company_busy"),
    "upstream_timeout": TIMEOUT,
    "upstream_stalled": TIMEOUT,
    "upstream_truncated": CUT,
    "upstream_malformed": CUT,
    "upstream_empty": EMPTY,
    "body_too_large": TOO_LONG,
    "upstream_rejected": REJECTED,
    "upstream_unprocessable": REJECTED,
    "idempotency_mismatch": REJECTED,
    "internal_error": DEFECT,
    **dict.fromkeys(ACCOUNT_FAULTS, NO_MODEL),
}
"""What the product makes of a failure of the gateway; for all others it counts whether they may pass."""

IMPATIENT = {"gateway_in_flight_wait_seconds": 0.1, "gateway_restart_wait_seconds": 0.1, "chat_max_restarts": 0}
"""What a failure ends in when nothing more is tried."""

PROXY_PAGE = b"<html>502 Bad Gateway</html>"
LONG_EVENT = b"event: delta\ndata: " + b"x" * 9_000_000
TOO_MUCH = "a word " * 150_000
"""Far more than the longest answer, 4,096 tokens, can be."""
ABSURD = b'{"prompt_tokens": 1' + b"0" * 30 + b', "completion_tokens": 1, "total_tokens": 1}'
ABSURD_RESULT = b'{"text": "Once", "usage": ' + ABSURD + b"}"

WHOLE: dict[str, tuple[Reply, tuple[int, str]]] = {
    "closed before a word": (sending(), UNAVAILABLE),
    "reset before a word": (sending(reset=True), UNAVAILABLE),
    "not HTTP": (sending(b"SSH-2.0-OpenSSH_9.7\r\n"), UNAVAILABLE),
    "a proxy's error page": (sending(whole(502, PROXY_PAGE, content_type="text/html")), UNAVAILABLE),
    "an error that is not UTF-8": (sending(whole(500, b'{"error": {"type": "\xff"}}')), UNAVAILABLE),
    "a redirect": (sending(whole(302, b"", headers=["Location: http://127.0.0.1:1/"])), UNAVAILABLE),
    "a page with status 200": (sending(whole(200, PROXY_PAGE, content_type="text/html")), CUT),
    "JSON of another kind": (sending(whole(200, b'{"answer": 42}')), CUT),
    "JSON that is not UTF-8": (sending(whole(200, b'{"text": "\xff\xfe", "usage": null}')), CUT),
    "an answer without a word": (answering("", usage=Usage(50, 4096, 4146)), EMPTY),
    "an answer of white space": (answering(" \n\t\u00a0", usage=Usage(50, 3, 53)), EMPTY),
    "a proxy that takes no such body": (sending(whole(413, PROXY_PAGE, content_type="text/html")), TOO_LONG),
    "half an answer": (sending(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"text": "On'), CUT),
    "60 MB": (sending(whole(200, b'{"text": "' + b"x" * 60_000_000 + b'", "usage": null}')), CUT),
    "more text than was asked for": (answering(TOO_MUCH), CUT),
    "usage of 10^30": (sending(whole(200, ABSURD_RESULT)), CUT),
    "negative usage": (
        sending(whole(200, b'{"text": "", "usage": {"prompt_tokens": -1, "completion_tokens": 1, "total_tokens": 0}}')),
        CUT,
    ),
}

STREAMED: dict[str, tuple[Reply, tuple[int, str]]] = {
    "closed before a word": (sending(), UNAVAILABLE),
    "closed after the headers": (sending(EVENTS_HEAD), CUT),
    "ended without a word": (events(), CUT),
    "ended without final": (events(delta("Once ")), CUT),
    "ended in mid-event": (events(delta("Once "), b'event: final\ndata: {"text": "On'), CUT),
    "final without a blank line": (events(b'event: final\ndata: {"text": "", "usage": null}\n'), CUT),
    "cut in mid-chunk": (sending(EVENTS_HEAD, b"40\r\nevent: del"), CUT),
    "reset in mid-answer": (sending(EVENTS_HEAD, b"5\r\n: hi\n\r\n", reset=True), CUT),
    "a delta of another kind": (events(b'event: delta\ndata: {"words": "Once"}\n\n'), CUT),
    "a delta that is not JSON": (events(b"event: delta\ndata: Once\n\n"), CUT),
    "a delta that is not UTF-8": (events(b'event: delta\ndata: {"text": "\xff"}\n\n'), CUT),
    "an event without end": (events(*[LONG_EVENT]), CUT),
    "4 MB in one event": (events(b'event: delta\ndata: {"text": "' + b"x" * 4_000_000 + b'"}\n\n'), CUT),
    "more text than was asked for": (answering(TOO_MUCH, pieces=20), CUT),
    "more text at its end than was asked for": (events(delta("Once "), final(TOO_MUCH)), CUT),
    "usage of 10^30": (events(delta("Once"), b"event: final\ndata: " + ABSURD_RESULT + b"\n\n"), CUT),
    "an error": (events(delta("Once "), error_event("upstream_failed")), UNAVAILABLE),
    "an error that is for good": (events(error_event("invalid_body")), REFUSED),
    "an error of the filter": (events(delta("Once "), error_event("content_filtered")), FILTERED),
    "an end without a word": (events(final("")), EMPTY),
    "an end without a word but white space": (events(delta(" "), final(" \n")), EMPTY),
    "no money at the upstream": (events(error_event("upstream_quota_exhausted")), NO_MODEL),
    "a proxy that takes no such body": (sending(whole(413, PROXY_PAGE, content_type="text/html")), TOO_LONG),
    "an error of another kind": (events(b"event: error\ndata: {}\n\n"), UNAVAILABLE),
    "a page with status 200": (sending(whole(200, PROXY_PAGE, content_type="text/html")), CUT),
}


BEGUN = {
    "more text than was asked for",
    "more text at its end than was asked for",
    "usage of 10^30",
    "ended without final",
    "ended in mid-event",
    "an error",
    "an error of the filter",
    "an end without a word but white space",
}
"""Of these a text is read before the failure. Without one a stream has the failure as its status."""


async def fails_once(
    client: Client,
    gateway: FakeGateway,
    world: World,
    person: Person,
    expected: tuple[int, str],
    *,
    stream: bool,
    begins: bool = False,
) -> None:
    """Send, see the failure and what it leaves, then see that a retry is answered."""
    same = {"client_message_id": "same"}
    if stream and begins:
        start, *deltas, error = await client.stream(**same)
        assert error.name == "error"
        assert set(error.data) == {"detail"}
        assert (error.data["detail"]["code"], bool(error.data["detail"]["message"])) == (expected[1], True)
        assert {event.name for event in deltas} == {"delta"}
        assert start.data
    elif stream:
        response = await client.send(stream=True, **same)
        assert error_of(response) == expected
        start, error = await follow(client, answer_of(response))
        assert (start.name, error.name, error.data["detail"]["code"]) == ("start", "error", expected[1])
    else:
        assert error_of(await client.send(**same)) == expected
    answer = await world.answer(person)
    assert (answer["status"], answer["error_code"], answer["text"]) == ("error", expected[1], "")
    assert (answer["lease_expires_at"], answer["usage_json"]) == (None, None)
    assert [hold["state"] for hold in await world.holds(person)] == ["voided"]
    assert len(await world.ledger(person)) == 1
    await world.check_books()
    gateway.reply = answering()
    again = await client.ask(**same)
    assert again["assistant_message_id"] == str(answer["id"])
    await world.check_books()


@pytest.mark.parametrize("code", FAILURES)
async def test_each_failure_that_the_gateway_names(
    client: Client, gateway: FakeGateway, world: World, person: Person, code: Code
) -> None:
    failure = FAILURES[code]
    gateway.reply = refusing(code)
    expected = BY_CODE.get(code, UNAVAILABLE if failure.retryable else REFUSED)
    await fails_once(client, gateway, world, person, expected, stream=False)


@pytest.mark.parametrize("usage", [Usage(399_000, 7, 399_007), Usage(11, 90_000, 90_011), Usage(11, 7, 900_000)])
@pytest.mark.parametrize("stream", [False, True])
async def test_usage_that_is_not_possible_is_estimated(
    client: Client, gateway: FakeGateway, world: World, usage: Usage, stream: bool
) -> None:
    gateway.reply = answering(usage=usage)
    answer = (await client.stream())[-1].data if stream else await client.ask()
    assert answer["usage"]["estimated"] is True
    assert answer["usage"]["total_tokens"] < 100
    await world.check_books()


@pytest.mark.parametrize("how", WHOLE)
async def test_no_whole_answer(client: Client, gateway: FakeGateway, world: World, person: Person, how: str) -> None:
    gateway.reply, expected = WHOLE[how]
    await fails_once(client, gateway, world, person, expected, stream=False)


@pytest.mark.parametrize("how", STREAMED)
async def test_no_streamed_answer(client: Client, gateway: FakeGateway, world: World, person: Person, how: str) -> None:
    gateway.reply, expected = STREAMED[how]
    await fails_once(client, gateway, world, person, expected, stream=True, begins=how in BEGUN)


async def test_a_failure_names_the_time_of_a_retry(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = refusing("upstream_rate_limited", "Retry-After: 17")
    assert (await client.send()).headers["retry-after"] == "17"
    gateway.reply = refusing("gateway_busy")
    assert int((await client.send()).headers["retry-after"]) > 0


async def test_words_of_the_gateway_do_not_reach_the_client(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = sending(
        whole(500, b'{"error": {"type": "a", "code": "b", "message": "sk-canary", "retryable": true}}')
    )
    response = await client.send()
    assert error_of(response) == UNAVAILABLE
    assert "canary" not in response.text


@pytest_asyncio.fixture(scope="module")
async def product_url(database_url: str, module_gateway: FakeGateway) -> AsyncIterator[str]:
    async with served_product(database_url, module_gateway.url, **IMPATIENT) as url:
        yield url


@asynccontextmanager
async def impatient(database_url: str, gateway_url: str, person: Person, **changes: object) -> AsyncIterator[Client]:
    async with (
        served_product(database_url, gateway_url, **IMPATIENT | changes) as url,
        client_of(url, person) as client,
    ):
        yield client


SILENCES: dict[str, tuple[Reply, bool]] = {
    "no headers": (sending(hang_up=False), False),
    "half a body": (sending(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", hang_up=False), False),
    "no events": (events(end=False), True),
    "no more events": (events(delta("Once "), end=False), True),
}


@pytest.mark.parametrize("how", SILENCES)
async def test_silence(database_url: str, gateway: FakeGateway, world: World, person: Person, how: str) -> None:
    gateway.reply, stream = SILENCES[how]
    # A whole answer is nothing but silence until it is there: only the time for all of it is limited.
    limit = "gateway_silence_timeout_seconds" if stream else "gateway_total_timeout_seconds"
    async with impatient(database_url, gateway.url, person, **{limit: 0.2}) as client:
        await fails_once(client, gateway, world, person, TIMEOUT, stream=stream, begins=how == "no more events")
    await asyncio.wait_for(gateway.calls[0].left.wait(), 5)


async def test_an_answer_that_never_ends(database_url: str, gateway: FakeGateway, world: World, person: Person) -> None:
    async def drip(call: Call) -> None:
        await call.send(EVENTS_HEAD)
        while True:
            await call.send_chunk(b": keep-alive\n\n")
            await asyncio.sleep(0.05)

    gateway.reply = drip
    async with impatient(database_url, gateway.url, person, gateway_total_timeout_seconds=0.3) as client:
        await fails_once(client, gateway, world, person, TIMEOUT, stream=True)


async def test_a_gateway_that_is_not_there(database_url: str, person: Person, world: World) -> None:
    async with impatient(database_url, f"http://127.0.0.1:{free_port()}", person) as client:
        assert error_of(await client.send()) == UNAVAILABLE
        assert error_of(await client.send(stream=True)) == UNAVAILABLE
    await world.check_books()


async def test_a_gateway_that_takes_no_connection(database_url: str, person: Person, world: World) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as waiting:
        # The one place in its queue is taken, so that the next connection is neither accepted nor refused.
        waiting.connect(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        async with impatient(database_url, url, person, gateway_connect_timeout_seconds=0.2) as client:
            assert error_of(await client.send()) == UNAVAILABLE
    await world.check_books()


async def test_an_answer_is_read_whatever_its_content_type(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = sending(whole(200, b'{"text": "fine", "usage": null}', content_type="text/plain"))
    assert (await client.ask())["text"] == "fine"


async def test_connections_are_used_again(client: Client, gateway: FakeGateway) -> None:
    for _ in range(5):
        await client.ask()
        await client.stream()
    assert len({call.connection for call in gateway.calls}) <= 2


async def test_nothing_is_compressed_on_the_way(client: Client, gateway: FakeGateway) -> None:
    await client.ask()
    assert gateway.calls[0].headers["accept-encoding"] == "identity"


async def test_a_connection_whose_body_ends_a_moment_late_is_used_again(client: Client, gateway: FakeGateway) -> None:
    async def end_late(call: Call) -> None:
        await call.send(EVENTS_HEAD)
        await call.send_chunk(final("Once"))
        await asyncio.sleep(0.01)
        await call.send_chunk(b"")

    gateway.reply = end_late
    for _ in range(5):
        await client.stream()
    assert len({call.connection for call in gateway.calls}) == 1


@pytest.mark.parametrize(
    "reply",
    [
        events(delta("Once "), final("Once upon"), end=False),
        events(delta("Once "), final("Once upon"), b"event: error\ndata: {}\n\n"),
        events(delta("Once "), final("Once upon"), delta("more"), b"garbage"),
    ],
    ids=["silence", "an error", "more"],
)
async def test_an_answer_that_is_complete_stays_so_whatever_follows(
    client: Client, gateway: FakeGateway, world: World, reply: Reply
) -> None:
    gateway.reply = reply
    last = (await client.stream())[-1]
    assert (last.name, last.data["text"]) == ("final", "Once upon")
    await world.check_books()
