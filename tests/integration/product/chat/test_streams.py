"""A stream by `POST /v1/chat`: when it is one, how it begins, and how it is resumed by sending again."""

import asyncio
from typing import Any

import httpx
import pytest

from support.database.world import Person, World
from support.gateway.fake import ANSWER, Call, FakeGateway, Gate, answering, refusing
from support.product.app import Client, client_of, error_of, read_events, served_product, text_of

EVENTS = "text/event-stream"
SAME = {"client_message_id": "same"}
TWO_KINDS = "application/json, text/event-stream"
"""What MCP clients accept."""


async def sent(client: Client, headers: dict[str, str], **fields: Any) -> httpx.Response:
    return await client.http.post("/v1/chat", json=client.message(**fields), headers=headers)


@pytest.mark.parametrize(
    ("stream", "accept", "is_stream"),
    [
        (None, "*/*", False),
        (None, "application/json", False),
        (None, EVENTS, True),
        (None, TWO_KINDS, True),
        (False, EVENTS, False),
        (False, TWO_KINDS, False),
        (True, "application/json", True),
        (True, EVENTS, True),
    ],
)
async def test_the_body_decides_before_the_header(
    client: Client, gateway: FakeGateway, stream: bool | None, accept: str, *, is_stream: bool
) -> None:
    response = await sent(client, {"Accept": accept}, **({} if stream is None else {"stream": stream}))
    assert response.status_code == 200
    assert response.headers["content-type"].startswith(EVENTS if is_stream else "application/json")
    assert gateway.calls[0].request.stream == is_stream


@pytest.mark.parametrize("stream", [None, 1, "true", "false"])
async def test_stream_is_true_or_false(client: Client, stream: object) -> None:
    assert error_of(await client.send(stream=stream)) == (400, "invalid_request")


@pytest.mark.parametrize("restart", [None, 1, "true"])
async def test_restart_is_true_or_false(client: Client, restart: object) -> None:
    assert error_of(await client.send(restart=restart)) == (400, "invalid_request")


async def test_how_it_is_read_is_no_part_of_the_question(client: Client, gateway: FakeGateway) -> None:
    first = await client.ask(**SAME)
    for stream, restart in ((False, False), (False, True)):
        assert await client.ask(**SAME, stream=stream, restart=restart) == first
    assert (await client.stream(**SAME, restart=True))[-1].data["text"] == ANSWER
    assert len(gateway.calls) == 1


async def test_a_stream_begins_with_the_time_to_reconnect(
    database_url: str, gateway: FakeGateway, person: Person
) -> None:
    async with (
        served_product(database_url, gateway.url, sse_retry_milliseconds=1500) as url,
        client_of(url, person) as client,
    ):
        posted = await client.send(stream=True)
        assert posted.text.startswith("retry: 1500\n\nevent: start\n")
        assert posted.text.count("retry:") == 1
        answer_id = (await anext(read_events(posted))).data["assistant_message_id"]
        followed = await client.http.get(f"/v1/chat/{answer_id}/events")
        resumed = await client.http.get(f"/v1/chat/{answer_id}/events", headers={"Last-Event-ID": "1-4"})
        for response in (followed, resumed):
            assert response.text.startswith("retry: 1500\n\nevent: ")


async def test_a_first_text_is_not_held_back(client: Client, gateway: FakeGateway) -> None:
    """And neither is a slow answer's beginning: its ids come after a moment, long before its text."""
    gate = gateway.reply = Gate("Once")
    async with client.streaming() as read:
        start, first = await anext(read), await anext(read)
        assert (start.name, first.data["text"]) == ("start", "Once")
        gate.open()
    slow = gateway.reply = Gate()
    async with client.streaming() as read:
        assert (await anext(read)).name == "start"
        slow.open()
        assert text_of([event async for event in read]) == ANSWER


@pytest.mark.parametrize("code", ["upstream_failed", "content_filtered", "upstream_timeout", "upstream_empty"])
async def test_a_failure_that_comes_late_is_an_event(
    database_url: str, gateway: FakeGateway, world: World, person: Person, code: Any
) -> None:
    goes_on = asyncio.Event()

    async def refuse_late(call: Call) -> None:
        await goes_on.wait()
        await refusing(code)(call)

    gateway.reply = refuse_late
    async with (
        served_product(database_url, gateway.url, sse_begin_within_seconds=0.05) as url,
        client_of(url, person) as client,
        client.streaming() as read,
    ):
        assert (await anext(read)).name == "start"
        goes_on.set()
        (error,) = [event async for event in read]
    assert (error.name, error.id) == ("error", "1-0-end")
    assert (await world.answer(person))["error_code"] == error.data["detail"]["code"]
    await world.check_books()


async def test_a_failed_stream_says_when_to_come_back(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = refusing("upstream_rate_limited", "Retry-After: 17")
    failed = await client.send(stream=True)
    assert (error_of(failed), failed.headers["retry-after"]) == ((503, "gateway_unavailable"), "17")


@pytest.mark.parametrize("seen", ["1-4", "1-9", "1-17"])
async def test_sending_again_goes_on_after_the_last_event(client: Client, gateway: FakeGateway, seen: str) -> None:
    await client.ask(**SAME)
    response = await sent(client, {"Last-Event-ID": seen}, stream=True, **SAME)
    rest = [event async for event in read_events(response)]
    assert [event.name for event in rest] == (["final"] if seen == "1-17" else ["delta", "final"])
    assert ANSWER[: int(seen.split("-")[1])] + text_of(rest) == ANSWER
    assert len(gateway.calls) == 1


async def test_a_client_that_reconnects_by_sending_doubles_nothing(
    client: Client, gateway: FakeGateway, world: World
) -> None:
    """As fetch-event-source does: the same body, and the id of the last event."""
    gate = gateway.reply = Gate("Once upon")
    async with client.streaming(**SAME) as read:
        events = [await anext(read), await anext(read)]
    body = client.message(stream=True, **SAME)
    async with client.http.stream("POST", "/v1/chat", json=body, headers={"Last-Event-ID": events[-1].id}) as again:
        gate.open()
        events += [event async for event in read_events(again)]
    assert [event.name for event in events].count("start") == 1
    assert text_of(events) == ANSWER == events[-1].data["text"]
    over = await sent(client, {"Last-Event-ID": events[-1].id}, stream=True, **SAME)
    assert (over.status_code, over.content) == (204, b"")
    assert len(gateway.calls) == 1
    await world.check_books()


async def test_sending_again_after_a_failure_is_another_attempt(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = refusing("upstream_failed")
    await client.send(stream=True, **SAME)
    gateway.reply = answering()
    response = await sent(client, {"Last-Event-ID": "1-0-end"}, stream=True, restart=True, **SAME)
    events = [event async for event in read_events(response)]
    assert [event.name for event in events][:1] == ["restart"]
    assert text_of(events) == ANSWER


@pytest.mark.parametrize("seen", ["x", "1", "1-", "-1", "1-1-", "99999999999-1", "1-٣"])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_id_that_never_was_is_refused_before_anything_is_asked(
    client: Client, gateway: FakeGateway, world: World, person: Person, seen: str, *, stream: bool
) -> None:
    headers: Any = {b"Last-Event-ID": seen.encode()}
    response = await client.http.post("/v1/chat", json=client.message(stream=stream), headers=headers)
    assert error_of(response) == (400, "invalid_request")
    assert response.json()["detail"]["param"] == "Last-Event-ID"
    assert (gateway.calls, await world.messages(person)) == ([], [])


async def test_an_empty_id_means_from_the_start(client: Client) -> None:
    response = await sent(client, {"Last-Event-ID": ""}, stream=True)
    assert (await anext(read_events(response))).name == "start"


@pytest.mark.parametrize("text", ["\u200b", "\u200d\ufeff\u2060", "\u00ad \u200b\n", "\u3164\u2800"])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_nobody_can_see_is_empty(
    client: Client, gateway: FakeGateway, world: World, person: Person, text: str, *, stream: bool
) -> None:
    gateway.reply = answering(text, pieces=1)
    failed = (await client.stream())[-1].data if stream else (await client.send()).json()
    assert failed["detail"]["code"] == "answer_empty"
    assert (await world.answer(person))["error_code"] == "answer_empty"
    assert len(await world.ledger(person)) == 1
    await world.check_books()
