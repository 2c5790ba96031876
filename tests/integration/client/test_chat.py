"""Messages and answers through both faces of the client: whole, streamed, stopped, failed, begun anew."""

import asyncio
from contextlib import suppress
from decimal import Decimal
from uuid import uuid4

import httpx
import pytest

from b2b_chat.contract.errors import Code
from b2b_chat_client import (
    AnswerFailed,
    AnswerRestarted,
    AsyncB2BChat,
    Conflict,
    Delta,
    Final,
    InsufficientCredits,
    InvalidRequest,
    NotFound,
    Restart,
    ServerFailed,
    Start,
)
from support.client.faces import Face, face_of
from support.database.roles import AppUser
from support.database.world import Person, World
from support.gateway.fake import (
    ANSWER,
    FakeGateway,
    Gate,
    answering,
    delta,
    error_event,
    events,
    in_turn,
    refusing,
)
from support.product.app import served_product

BEGUN = "Once, long ago"


def text_of(read: list[object]) -> str:
    """The text that a reader ends with, who drops what is void."""
    text = ""
    for event in read:
        if isinstance(event, Delta):
            text += event.text
        elif isinstance(event, Restart):
            text = ""
    return text


async def test_an_answer_comes_whole_with_its_cost(face: Face, world: World, person: Person) -> None:
    answer = await face.send("What is a border?")
    assert (answer.text, answer.status, answer.finish_reason) == (ANSWER, "completed", "stop")
    assert isinstance(answer.charge_credits, Decimal)
    account = await world.account(person)
    assert answer.balance_credits == account["balance_credits"] == Decimal(1000) - answer.charge_credits
    again = await face.send("And then?", conversation_id=answer.conversation_id)
    assert again.conversation_id == answer.conversation_id
    await world.check_books()


async def test_an_answer_is_as_long_as_asked_for(face: Face, gateway: FakeGateway) -> None:
    await face.send("Hello", max_completion_tokens=17)
    await face.send("Hello")
    assert gateway.calls[0].request.max_completion_tokens == 17
    assert gateway.calls[1].request.max_completion_tokens != 17


async def test_a_stream_shows_the_ids_then_pieces_then_the_whole(face: Face) -> None:
    first, *pieces, last = await face.events("Hello")
    assert isinstance(first, Start)
    assert all(isinstance(piece, Delta) for piece in pieces)
    assert isinstance(last, Final)
    assert text_of(list(pieces)) == last.answer.text == ANSWER
    assert first.assistant_message_id == last.answer.assistant_message_id
    assert first.conversation_id == last.answer.conversation_id


async def test_the_same_id_is_the_same_message(face: Face, world: World, person: Person) -> None:
    first = await face.send("Hello", client_message_id="mine")
    assert await face.send("Hello", client_message_id="mine") == first
    assert [type(event) for event in await face.events("Hello", client_message_id="mine")] == [Start, Delta, Final]
    assert len([entry for entry in await world.ledger(person) if entry["kind"] == "charge"]) == 1
    with pytest.raises(Conflict) as caught:
        await face.send("Something else", client_message_id="mine")
    assert (caught.value.code, caught.value.client_message_id) == ("idempotency_conflict", "mine")
    assert caught.value.request_id


async def test_an_answer_can_be_followed_by_its_id(face: Face) -> None:
    answer = await face.send("Hello")
    read = await face.followed(answer.assistant_message_id)
    assert text_of(list(read)) == ANSWER
    assert read[-1] == Final(answer)
    with pytest.raises(NotFound) as caught:
        await face.followed(uuid4())
    assert caught.value.code == "answer_not_found"


async def test_a_failure_before_the_text_is_tried_again_under_the_same_id(
    face: Face, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = in_turn(refusing("upstream_failed"), refusing("upstream_failed"), answering())
    read = await face.events("Hello")
    assert [type(event) for event in read if not isinstance(event, Delta)] == [Start, Final]
    assert len(gateway.calls) == 3
    assert len(await world.messages(person)) == 2
    await world.check_books()


async def test_an_answer_that_broke_off_is_void_and_comes_anew(
    face: Face, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = in_turn(events(delta(BEGUN), error_event("upstream_failed")), answering())
    read = await face.events("Hello")
    shown = [type(event) for event in read]
    assert shown[:3] == [Start, Delta, Restart]
    assert shown.count(Start) == shown.count(Final) == shown.count(Restart) == 1
    assert text_of(list(read)) == ANSWER
    assert len([entry for entry in await world.ledger(person) if entry["kind"] == "charge"]) == 1
    await world.check_books()


@pytest.mark.parametrize("code", ["upstream_failed", "upstream_truncated"])
async def test_failures_of_the_answer_are_tried_a_bounded_number_of_times(
    kind: str, product_url: str, person: Person, gateway: FakeGateway, code: Code
) -> None:
    gateway.reply = events(delta(BEGUN), error_event(code))
    async with face_of(kind, person.api_key, product_url, max_retries=2) as face:
        with pytest.raises(AnswerFailed) as caught:
            await face.events("Hello", client_message_id="doomed")
    assert caught.value.retryable
    assert (caught.value.client_message_id, bool(caught.value.assistant_message_id)) == ("doomed", True)
    assert len(gateway.calls) == 3


async def test_what_cannot_succeed_is_asked_once(face: Face, gateway: FakeGateway) -> None:
    gateway.reply = refusing("context_length_exceeded")
    with pytest.raises(InvalidRequest) as caught:
        await face.send("Hello")
    assert caught.value.code == "context_length_exceeded"
    assert len(gateway.calls) == 1
    with pytest.raises(InvalidRequest) as empty:
        await face.send("  ")
    assert (empty.value.code, empty.value.status) == ("empty_text", 422)


async def test_a_broken_answer_that_is_only_followed_is_an_error(face: Face, gateway: FakeGateway) -> None:
    gateway.reply = refusing("upstream_rejected")
    with pytest.raises((ServerFailed, InvalidRequest)) as caught:
        await face.send("Hello")
    assert caught.value.assistant_message_id is not None
    with pytest.raises(AnswerFailed) as followed:
        await face.followed(caught.value.assistant_message_id)
    assert followed.value.code == caught.value.code


async def test_without_credits_it_says_so_at_once(face: Face, world: World, person: Person) -> None:
    await world.spend_all(person)
    with pytest.raises(InsufficientCredits) as caught:
        await face.send("Hello")
    assert caught.value.code == "insufficient_credits"


async def test_an_answer_can_be_stopped_while_it_is_read(
    product_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = Gate("Once")
    async with AsyncB2BChat(person.api_key, base_url=product_url) as client, client.chat.stream("Hello") as stream:
        async for event in stream:
            if isinstance(event, Delta):
                break
        assert stream.text == "Once"
        assert stream.assistant_message_id is not None
        stopped = await client.chat.stop(stream.assistant_message_id)
        assert await stream.answer() == stopped == stream.final
    assert (stopped.status, stopped.text) == ("stopped", "Once")
    await world.check_books()


async def test_pieces_of_text_end_in_an_error_where_they_become_void(
    product_url: str, gateway: FakeGateway, person: Person
) -> None:
    gateway.reply = in_turn(events(delta(BEGUN), error_event("upstream_failed")), answering())
    async with AsyncB2BChat(person.api_key, base_url=product_url) as client, client.chat.stream("Hello") as stream:
        texts = stream.texts()
        assert await anext(texts) == BEGUN
        with pytest.raises(AnswerRestarted) as caught:
            await anext(texts)
        assert caught.value.client_message_id == stream.client_message_id
        assert (await stream.answer()).text == ANSWER


async def test_the_servers_own_restarts_reach_the_reader(
    owner_url: str, app_user: AppUser, gateway: FakeGateway, person: Person
) -> None:
    gateway.reply = in_turn(events(delta(BEGUN), error_event("upstream_failed", "primary")), answering())
    async with (
        served_product(app_user.url(owner_url), gateway.url) as url,
        AsyncB2BChat(person.api_key, base_url=url, max_retries=0) as client,
        client.chat.stream("Hello") as stream,
    ):
        read = [event async for event in stream]
    assert [type(event) for event in read][:3] == [Start, Delta, Restart]
    assert text_of(list(read)) == ANSWER


async def test_many_streams_share_one_client(product_url: str, world: World, person: Person) -> None:
    async with AsyncB2BChat(person.api_key, base_url=product_url) as client:
        answers = await asyncio.gather(*[client.chat.send(f"Question {number}") for number in range(8)])
    assert len({answer.assistant_message_id for answer in answers}) == 8
    await world.check_books()


async def test_readers_that_are_cancelled_leave_no_connection_behind(
    product_url: str, gateway: FakeGateway, person: Person
) -> None:
    gate = Gate("Once")
    gateway.reply = gate
    limits = httpx.Limits(max_connections=4)
    async with (
        httpx.AsyncClient(limits=limits) as http,
        AsyncB2BChat(person.api_key, base_url=product_url, http_client=http) as client,
    ):

        async def leave(number: int) -> None:
            begun = asyncio.Event()

            async def read() -> None:
                async with client.chat.stream(f"Question {number}") as stream:
                    async for _ in stream:
                        begun.set()

            reading = asyncio.create_task(read())
            await begun.wait()
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

        for number in range(12):
            await leave(number)
        gate.open()
        assert (await client.chat.send("Hello")).text == ANSWER
