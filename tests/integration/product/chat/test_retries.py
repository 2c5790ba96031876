"""The same client_message_id again, in every state of the answer."""

import asyncio
from typing import Any

import pytest

from b2b_chat.kit.database import new_id
from support.database.world import Person, World
from support.gateway.fake import ANSWER, FakeGateway, Gate, answering, refusing
from support.product.app import Client, Event, answer_of, client_of, error_of, follow, served_product

SAME = {"client_message_id": "same"}


def as_answer(events: list[Event]) -> dict[str, Any]:
    """Return a stream's events in the form of a JSON answer."""
    start, *_, final = events
    assert (start.name, final.name) == ("start", "final")
    return {**start.data, **final.data}


class TestCompleted:
    async def test_json_again(self, client: Client, gateway: FakeGateway, world: World) -> None:
        first = await client.ask(**SAME)
        assert await client.ask(**SAME) == first
        assert len(gateway.calls) == 1
        await world.check_books()

    async def test_json_then_a_stream(self, client: Client, gateway: FakeGateway) -> None:
        first = await client.ask(**SAME)
        events = await client.stream(**SAME)
        assert as_answer(events) == first
        assert [event.name for event in events] == ["start", "delta", "final"]
        assert events[1].data == {"text": ANSWER}
        assert len(gateway.calls) == 1

    async def test_a_stream_then_json(self, client: Client, gateway: FakeGateway) -> None:
        events = await client.stream(**SAME)
        assert await client.ask(**SAME) == as_answer(events)
        assert len(gateway.calls) == 1

    async def test_the_place_in_the_stream_has_the_same_id_as_before(self, client: Client) -> None:
        live, stored = await client.stream(**SAME), await client.stream(**SAME)
        assert [event.id for event in (live[0], live[-2], live[-1])] == [event.id for event in stored]

    async def test_the_balance_is_the_one_of_now(self, client: Client) -> None:
        first = await client.ask(**SAME)
        later = await client.ask("Something else")
        again = await client.ask(**SAME)
        assert again["charge_credits"] == first["charge_credits"]
        assert again["balance_credits"] == later["balance_credits"]

    async def test_estimated_usage_is_still_said_to_be_so(self, client: Client, gateway: FakeGateway) -> None:
        gateway.reply = answering(usage=None)
        first = await client.ask(**SAME)
        assert first["usage"]["estimated"] is True
        assert await client.ask(**SAME) == first

    async def test_it_costs_nothing_even_when_the_last_credits_are_gone(
        self, client: Client, world: World, person: Person
    ) -> None:
        first = await client.ask(**SAME)
        await world.spend_all(person)
        again = await client.ask(**SAME)
        assert again == first | {"balance_credits": "0.000000"}


class TestRunning:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_every_sender_gets_the_one_answer(
        self, client: Client, gateway: FakeGateway, world: World, stream: bool
    ) -> None:
        gateway.reply = gate = Gate("Once ")
        first = asyncio.create_task(client.stream(**SAME) if stream else client.ask(**SAME))
        await gateway.call()
        joined_json = asyncio.create_task(client.ask(**SAME))
        joined_stream = asyncio.create_task(client.stream(**SAME))
        # Both have joined once a second answer to someone else has passed all the way through.
        await client.http.get("/v1/balance")
        gate.open()
        answers = [await joined_json, as_answer(await joined_stream)]
        began: Any = await first
        answers.append(as_answer(began) if isinstance(began, list) else began)
        assert answers[0] == answers[1] == answers[2]
        assert len(gateway.calls) == 1
        await world.check_books()

    async def test_a_late_reader_gets_the_beginning_too(self, client: Client, gateway: FakeGateway) -> None:
        gateway.reply = gate = Gate("Once ")
        async with client.streaming(**SAME) as first:
            await anext(first)
            await anext(first)
            async with client.streaming(**SAME) as second:
                assert (await anext(second)).name == "start"
                assert (await anext(second)).data == {"text": "Once "}
                gate.open()
                assert [event.name async for event in second] == ["delta", "final"]

    async def test_one_leaving_does_not_end_it_for_the_other(
        self, client: Client, gateway: FakeGateway, product_url: str, person: Person
    ) -> None:
        gateway.reply = gate = Gate("Once ")
        async with client.streaming(**SAME) as staying:
            await anext(staying)
            async with client_of(product_url, person) as other, other.streaming(**SAME) as leaving:
                await anext(leaving)
            await client.http.get("/v1/balance")
            gate.open()
            assert [event.name async for event in staying][-1] == "final"

    async def test_a_run_of_another_process_is_not_begun_again(
        self, client: Client, gateway: FakeGateway, world: World, person: Person
    ) -> None:
        gateway.reply = refusing("upstream_failed")
        await client.send(**SAME)
        await world.rows(
            "UPDATE messages SET status = 'streaming', lease_expires_at = now() + interval '1 hour' WHERE id = $1",
            (await world.answer(person))["id"],
        )
        gateway.reply = answering()
        response = await client.send(**SAME)
        assert error_of(response) == (409, "message_in_progress")
        assert int(response.headers["retry-after"]) > 0
        assert len(gateway.calls) == 1
        assert (await world.account(person))["held_credits"] == 0
        await world.rows(
            "UPDATE messages SET status = 'error' WHERE user_id = $1 AND role = 'assistant'", person.user_id
        )


class TestFailed:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_new_attempt_has_the_same_ids(
        self, client: Client, gateway: FakeGateway, world: World, person: Person, stream: bool
    ) -> None:
        gateway.reply = refusing("upstream_failed")
        start, error = await follow(client, answer_of(await client.send(stream=True, **SAME)))
        assert (error.name, error.id) == ("error", "1-0-end")
        assert (await client.send(**SAME)).status_code == 503
        gateway.reply = answering()
        if stream:
            events = await client.stream(**SAME)
            assert {event.id.partition("-")[0] for event in events} == {"3"}
            answer = as_answer(events)
        else:
            answer = await client.ask(**SAME)
        assert {name: answer[name] for name in start.data} == start.data
        row = await world.answer(person)
        assert (row["status"], row["attempt"], row["error_code"]) == ("completed", 3, None)
        holds = await world.holds(person)
        assert [hold["state"] for hold in holds] == ["voided", "voided", "posted"]
        assert all(hold["resolved_at"] for hold in holds)
        assert len({call.request.metadata.message_id for call in gateway.calls}) == 1
        await world.check_books()

    async def test_a_retry_sees_earlier_messages_and_no_later_ones(self, client: Client, gateway: FakeGateway) -> None:
        opening = await client.ask("first")
        thread = {"conversation_id": opening["conversation_id"]}
        gateway.reply = refusing("upstream_failed")
        await client.send("second", **thread, **SAME)
        gateway.reply = answering()
        await client.ask("third", **thread)
        await client.ask("second", **thread, **SAME)
        assert [message.content for message in gateway.calls[-1].request.messages] == ["first", ANSWER, "second"]

    async def test_without_credits_it_stays_failed(
        self, client: Client, gateway: FakeGateway, world: World, person: Person
    ) -> None:
        gateway.reply = refusing("upstream_failed")
        await client.send(**SAME)
        await world.spend_all(person)
        assert error_of(await client.send(**SAME)) == (402, "insufficient_credits")
        row = await world.answer(person)
        assert (row["status"], row["attempt"], row["error_code"]) == ("error", 1, "gateway_unavailable")
        await world.check_books()

    async def test_it_waits_its_turn_in_the_conversation(
        self, client: Client, gateway: FakeGateway, world: World
    ) -> None:
        gateway.reply = refusing("upstream_failed")
        failed = await client.send(stream=True, **SAME)
        start, _ = await follow(client, answer_of(failed))
        thread = {"conversation_id": start.data["conversation_id"]}
        gateway.reply = gate = Gate()
        running = asyncio.create_task(client.ask("other", **thread))
        await gateway.call(2)
        response = await client.send(**SAME)
        assert error_of(response) == (409, "conversation_busy")
        assert "retry-after" in response.headers
        gate.open()
        await running
        assert (await client.ask(**SAME))["user_message_id"] == start.data["user_message_id"]
        await world.check_books()

    async def test_many_retries_at_once_make_one_attempt(
        self, client: Client, gateway: FakeGateway, world: World
    ) -> None:
        gateway.reply = refusing("upstream_failed")
        await client.send(**SAME)
        gateway.reply = answering()
        answers = await asyncio.gather(*[client.ask(**SAME) for _ in range(20)])
        assert all(answer == answers[0] for answer in answers)
        assert len(gateway.calls) == 2
        await world.check_books()


class TestConflict:
    @pytest.mark.parametrize("fails", [False, True])
    async def test_another_text_under_the_same_id(self, client: Client, gateway: FakeGateway, fails: bool) -> None:
        if fails:
            gateway.reply = refusing("upstream_failed")
        await client.send("Hello", **SAME)
        assert error_of(await client.send("Goodbye", **SAME)) == (409, "idempotency_conflict")
        assert len(gateway.calls) == 1

    async def test_another_conversation_under_the_same_id(self, client: Client) -> None:
        elsewhere = await client.ask("elsewhere")
        await client.send(**SAME)
        response = await client.send(**SAME, conversation_id=elsewhere["conversation_id"])
        assert error_of(response) == (409, "idempotency_conflict")

    async def test_while_the_first_is_running(self, client: Client, gateway: FakeGateway) -> None:
        gateway.reply = gate = Gate()
        running = asyncio.create_task(client.ask("Hello", **SAME))
        await gateway.call()
        assert error_of(await client.send("Goodbye", **SAME)) == (409, "idempotency_conflict")
        gate.open()
        assert (await running)["text"] == ANSWER

    async def test_two_people_may_choose_the_same_id(
        self, client: Client, product_url: str, world: World, person: Person
    ) -> None:
        colleague = await world.person(company_id=person.company_id)
        first = await client.ask("Hello", **SAME)
        async with client_of(product_url, colleague) as other:
            second = await other.ask("Goodbye", **SAME)
        assert second["user_message_id"] != first["user_message_id"]
        await world.check_books()


async def test_a_busy_conversation_takes_no_second_message(client: Client, gateway: FakeGateway, world: World) -> None:
    opening = await client.ask("first")
    thread = {"conversation_id": opening["conversation_id"]}
    gateway.reply = gate = Gate()
    running = asyncio.create_task(client.ask("second", **thread))
    await gateway.call(2)
    response = await client.send("third", **thread, **SAME)
    assert error_of(response) == (409, "conversation_busy")
    assert int(response.headers["retry-after"]) > 0
    gate.open()
    await running
    assert (await client.ask("third", **thread, **SAME))["status"] == "completed"
    await world.check_books()


async def test_an_unknown_conversation_is_not_found(client: Client, world: World, person: Person) -> None:
    response = await client.send(conversation_id=str(new_id()))
    assert error_of(response) == (404, "conversation_not_found")
    assert await world.messages(person) == []


async def test_an_answer_can_be_fetched_after_a_restart(
    database_url: str, gateway: FakeGateway, person: Person
) -> None:
    async with served_product(database_url, gateway.url) as url, client_of(url, person) as client:
        first = await client.ask(**SAME)
    async with served_product(database_url, gateway.url) as url, client_of(url, person) as client:
        assert await client.ask(**SAME) == first
        assert as_answer(await client.stream(**SAME)) == first
    assert len(gateway.calls) == 1


async def test_a_stopped_answer_is_final(client: Client, gateway: FakeGateway, world: World, person: Person) -> None:
    first = await client.ask(**SAME)
    await world.rows(
        "UPDATE messages SET status = 'stopped', text = 'Once' WHERE user_id = $1 AND role = 'assistant'",
        person.user_id,
    )
    assert await client.ask(**SAME) == first | {"status": "stopped", "text": "Once"}
    assert len(gateway.calls) == 1
