"""Coming back to an answer: during the run, after it, and on another attempt."""

import asyncio

import httpx
import pytest

from support.database.world import Person, World
from support.gateway.fake import ANSWER, FakeGateway, Gate, answering, refusing
from support.processes.waiting import until
from support.product.app import Client, answer_of, client_of, error_of, follow, following, served_product, text_of


async def refused(client: Client, answer_id: str, after: str | None = None) -> httpx.Response:
    headers = {} if after is None else {"Last-Event-ID": after}
    return await client.http.get(f"/v1/chat/{answer_id}/events", headers=headers)


async def test_after_the_run_every_place_leads_to_the_same_text(client: Client) -> None:
    sent = await client.stream()
    answer_id = sent[0].data["assistant_message_id"]
    whole = await follow(client, answer_id)
    assert [event.name for event in whole] == ["start", "delta", "final"]
    assert text_of(whole) == ANSWER == whole[-1].data["text"]

    for place, event in enumerate(sent[:-1]):
        rest = await follow(client, answer_id, event.id)
        assert text_of(sent[: place + 1]) + text_of(rest) == ANSWER
        assert "start" not in [event.name for event in rest]
        assert rest[-1] == sent[-1]


async def test_after_the_end_there_is_nothing_to_come_back_for(client: Client) -> None:
    sent = await client.stream()
    response = await refused(client, sent[0].data["assistant_message_id"], sent[-1].id)
    assert (response.status_code, response.content) == (204, b"")


async def test_during_the_run_a_second_reader_continues_where_the_first_left(
    world: World, database_url: str, gateway: FakeGateway, person: Person
) -> None:
    gate = gateway.reply = Gate("Once upon")
    async with (
        served_product(database_url, gateway.url, chat_resume_window_seconds=30) as url,
        client_of(url, person) as client,
    ):
        async with client.streaming() as events:
            start, first = await anext(events), await anext(events)
        answer_id = start.data["assistant_message_id"]
        assert (await world.answer(person))["status"] == "pending"

        async with following(client, answer_id, first.id) as rest:
            gate.open()
            remaining = [event async for event in rest]
    assert first.data["text"] + text_of(remaining) == ANSWER
    assert remaining[-1].name == "final"
    assert not gateway.calls[0].left.is_set()
    assert len(gateway.calls) == 1
    await world.check_books()


async def test_two_readers_at_once_get_the_same(client: Client, gateway: FakeGateway) -> None:
    gate = gateway.reply = Gate("Once upon")
    async with client.streaming() as events:
        start = await anext(events)
        answer_id = start.data["assistant_message_id"]
        async with following(client, answer_id) as others:
            second_start = await anext(others)
            gate.open()
            first = [start, *[event async for event in events]]
            second = [second_start, *[event async for event in others]]
    assert text_of(first) == text_of(second) == ANSWER
    assert first[-1] == second[-1]


async def test_the_window_closes(world: World, database_url: str, gateway: FakeGateway, person: Person) -> None:
    gateway.reply = Gate("Once upon")
    async with (
        served_product(database_url, gateway.url, chat_resume_window_seconds=0.2) as url,
        client_of(url, person) as client,
    ):
        async with client.streaming() as events:
            answer_id = (await anext(events)).data["assistant_message_id"]
            await anext(events)

        async def is_given_up() -> bool:
            return bool((await world.answer(person))["status"] == "error")

        await until(is_given_up)
        assert (await world.answer(person))["error_code"] == "client_disconnected"
        await asyncio.wait_for(gateway.calls[0].left.wait(), 5)
        stored = await follow(client, answer_id)
    assert [event.name for event in stored] == ["start", "delta", "error"]
    assert text_of(stored) == "Once upon"
    assert stored[-1].data["detail"]["code"] == "client_disconnected"
    await world.check_books()


async def test_a_position_in_an_earlier_attempt_starts_from_the_beginning(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = refusing("upstream_failed")
    same = {"client_message_id": "same"}
    answer_id = answer_of(await client.send(stream=True, **same))
    failed = await follow(client, answer_id)
    assert failed[-1].name == "error"
    gateway.reply = answering()
    retried = await client.stream(**same)
    assert retried[0].data == failed[0].data
    assert retried[0].id != failed[0].id
    events = await follow(client, answer_id, failed[-1].id)
    assert [event.name for event in events] == ["start", "delta", "final"]
    assert text_of(events) == ANSWER


async def test_a_failed_answer_names_its_cause(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = refusing("context_length_exceeded")
    failed = await client.send(stream=True)
    assert error_of(failed) == (422, "context_length_exceeded")
    stored = await follow(client, answer_of(failed))
    assert stored[-1].data["detail"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize("place", ["", "x", "1", "1-", "-1", "1-1-", "1-1-end-", "99999999999-1", "1-٣"])
async def test_a_place_that_never_was(client: Client, place: str) -> None:
    sent = await client.stream()
    answer_id = sent[0].data["assistant_message_id"]
    headers = {b"Last-Event-ID": place.encode()}
    response = await client.http.get(f"/v1/chat/{answer_id}/events", headers=headers)
    if place:
        assert error_of(response) == (400, "invalid_request")
    else:
        assert response.status_code == 200


async def test_only_the_author_may_follow(world: World, product_url: str, client: Client, person: Person) -> None:
    answer_id = (await client.ask())["assistant_message_id"]
    colleague, stranger = await world.person(company_id=person.company_id), await world.person()
    for other in (colleague, stranger):
        async with client_of(product_url, other) as theirs:
            assert error_of(await refused(theirs, answer_id)) == (404, "answer_not_found")
            stopped = await theirs.http.post(f"/v1/chat/{answer_id}/stop")
            assert error_of(stopped) == (404, "answer_not_found")


async def test_what_another_process_writes_is_not_here(
    world: World, database_url: str, gateway: FakeGateway, person: Person, client: Client
) -> None:
    gateway.reply = Gate("Once upon")
    async with (
        served_product(database_url, gateway.url) as url,
        client_of(url, person) as elsewhere,
        elsewhere.streaming() as events,
    ):
        answer_id = (await anext(events)).data["assistant_message_id"]
        response = await refused(client, answer_id)
        assert error_of(response) == (409, "message_in_progress")
        assert int(response.headers["retry-after"]) >= 1
    await world.check_books()


async def test_nul_is_replaced_alike_in_the_stream_and_in_the_store(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = answering("a\0b\0c", pieces=2)
    sent = await client.stream()
    assert text_of(sent) == "a\ufffdb\ufffdc" == sent[-1].data["text"]
    stored = await follow(client, sent[0].data["assistant_message_id"])
    assert text_of(stored) == text_of(sent)
