"""A message from send to ledger, when nothing goes wrong."""

import re
from collections.abc import AsyncIterator
from decimal import Decimal
from uuid import UUID

import pytest
import pytest_asyncio

from b2b_chat.contract.schemas import MODEL_GPT_5_2, Usage
from b2b_chat.contract.signing import read_signature, verify
from support.database.world import Person, World
from support.gateway.fake import ANSWER, FakeGateway, Gate, answering, delta, events, final
from support.product.app import SHARED_SECRET, Client, client_of, served_product

CHARGE = Decimal("0.013400")  # 11 prompt tokens at 0.2 and 7 completion tokens at 1.6 credits for a thousand


async def test_a_json_answer_holds_ids_text_usage_and_cost(client: Client) -> None:
    answer = await client.ask("Tell me a story")
    ids = [UUID(answer.pop(name)) for name in ("conversation_id", "user_message_id", "assistant_message_id")]
    assert len(set(ids)) == 3
    assert answer == {
        "status": "completed",
        "text": ANSWER,
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18, "estimated": False},
        "charge_credits": "0.013400",
        "balance_credits": "999.986600",
        "finish_reason": "stop",
        "cut_by": None,
    }


@pytest.mark.parametrize("stream", [False, True])
async def test_a_turn_leaves_exactly_these_rows(client: Client, world: World, person: Person, stream: bool) -> None:
    if stream:
        start, *_ = await client.stream("Tell me a story")
        ids = start.data
    else:
        ids = await client.ask("Tell me a story")
    asked, answer = await world.messages(person)
    assert (str(asked["id"]), asked["role"], asked["status"]) == (ids["user_message_id"], "user", "completed")
    assert (asked["text"], asked["client_message_id"], asked["reply_to"]) == ("Tell me a story", "message-1", None)
    assert (str(answer["id"]), answer["role"], answer["status"]) == (
        ids["assistant_message_id"],
        "assistant",
        "completed",
    )
    assert (answer["text"], answer["reply_to"], answer["attempt"]) == (ANSWER, asked["id"], 1)
    assert (answer["error_code"], answer["lease_expires_at"]) == (None, None)
    assert answer["completed_at"] > answer["created_at"]
    for row in (asked, answer):
        assert (row["company_id"], row["user_id"]) == (person.company_id, person.user_id)
        assert str(row["conversation_id"]) == ids["conversation_id"]
    top_up, charge = await world.ledger(person)
    assert (top_up["kind"], top_up["amount_credits"], top_up["message_id"]) == ("top_up", Decimal(1000), None)
    assert (charge["kind"], charge["amount_credits"], charge["message_id"]) == ("charge", -CHARGE, asked["id"])
    assert (charge["position"], charge["balance_after_credits"]) == (2, Decimal(1000) - CHARGE)
    (hold,) = await world.holds(person)
    assert (hold["state"], hold["message_id"], hold["company_id"]) == ("posted", asked["id"], person.company_id)
    account = await world.account(person)
    assert (account["balance_credits"], account["held_credits"]) == (Decimal(1000) - CHARGE, Decimal(0))
    await world.check_books()


async def test_a_stream_starts_with_the_ids_and_ends_with_the_money(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = answering("Grüße, 世界 👋🏽!", pieces=14)
    start, *deltas, final = await client.stream()
    assert start.name == "start"
    assert {name: UUID(value).version for name, value in start.data.items()} == {
        "conversation_id": 7,
        "user_message_id": 7,
        "assistant_message_id": 7,
    }
    assert {event.name for event in deltas} == {"delta"}
    assert "".join(event.data["text"] for event in deltas) == "Grüße, 世界 👋🏽!"
    assert final.name == "final"
    assert final.data == {
        "status": "completed",
        "text": "Grüße, 世界 👋🏽!",
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18, "estimated": False},
        "charge_credits": "0.013400",
        "balance_credits": "999.986600",
        "finish_reason": "stop",
        "cut_by": None,
    }
    ids = [event.id for event in (start, *deltas, final)]
    assert len(set(ids)) == len(ids)
    assert all(ids)


async def test_deltas_come_before_the_answer_is_complete(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = gate = Gate("Once ", "Once upon")
    async with client.streaming() as events:
        assert (await anext(events)).name == "start"
        assert (await anext(events)).data == {"text": "Once "}
        gate.open()
        assert [event.data["text"] async for event in events] == ["upon", "Once upon"]


async def test_what_the_deltas_left_out_of_the_answer_is_in_it_all_the_same(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = events(delta("Once "), final("Once upon a time"))
    _, *deltas, last = await client.stream()
    assert "".join(event.data["text"] for event in deltas) == last.data["text"] == "Once upon a time"
    gateway.reply = events(final("All at once"))
    _, *deltas, last = await client.stream()
    assert "".join(event.data["text"] for event in deltas) == last.data["text"] == "All at once"
    assert (await world.answer(person))["text"] == "All at once"


async def test_an_accept_header_asks_for_a_stream_too(client: Client) -> None:
    response = await client.http.post("/v1/chat", json=client.message(), headers={"Accept": "text/event-stream"})
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["cache-control"] == "no-store"


async def test_the_gateway_is_asked_by_a_signed_call_that_names_ids_only(
    client: Client, gateway: FakeGateway, person: Person
) -> None:
    answer = await client.ask("Tell me a story")
    (call,) = gateway.calls
    request = call.request
    assert request.model == MODEL_GPT_5_2
    assert [(message.role, message.content) for message in request.messages] == [("user", "Tell me a story")]
    assert request.stream is False
    assert request.max_completion_tokens == 4096
    assert request.metadata.company_id == person.company_id
    assert request.metadata.user_id == person.user_id
    assert str(request.metadata.conversation_id) == answer["conversation_id"]
    assert str(request.metadata.message_id) == answer["user_message_id"]
    signature = read_signature((name.encode(), value.encode()) for name, value in call.headers.items())
    verify(
        [SHARED_SECRET.encode()],
        signature,
        "POST",
        b"/v1/chat",
        call.body,
        unix_seconds=float(signature.timestamp),
        skew_seconds=0,
    )
    assert b"example.test" not in call.body


async def test_no_two_calls_share_a_nonce(client: Client, gateway: FakeGateway) -> None:
    for _ in range(3):
        await client.ask()
    assert len({call.headers["x-nonce"] for call in gateway.calls}) == 3


async def test_the_clients_request_id_comes_back_and_one_of_our_own_goes_on_to_the_gateway(
    client: Client, gateway: FakeGateway
) -> None:
    response = await client.http.post("/v1/chat", json=client.message(), headers={"X-Request-ID": "order.66_a-b"})
    assert response.headers["x-request-id"] == "order.66_a-b"
    assert re.fullmatch("[0-9a-f]{32}", gateway.calls[0].headers["x-request-id"])


async def test_uncounted_usage_is_estimated_and_flagged(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = answering("x" * 400, usage=None)
    answer = await client.ask("y" * 40)
    assert answer["usage"] == {"prompt_tokens": 17, "completion_tokens": 50, "total_tokens": 67, "estimated": True}
    assert answer["charge_credits"] == "0.083400"


async def test_usage_of_zero_is_not_missing_usage(client: Client, gateway: FakeGateway, world: World) -> None:
    gateway.reply = answering("free", usage=Usage(0, 0, 0))
    answer = await client.ask()
    assert answer["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "estimated": False}
    assert (answer["charge_credits"], answer["balance_credits"]) == ("0.000000", "1000.000000")
    await world.check_books()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_nul_in_an_answer_is_replaced_where_it_is_stored_and_where_it_is_sent(
    client: Client, gateway: FakeGateway, world: World, person: Person, stream: bool
) -> None:
    gateway.reply = answering("a\0b", pieces=1)
    if stream:
        _, piece, final = await client.stream()
        text = final.data["text"]
        assert piece.data["text"] == text
    else:
        text = (await client.ask())["text"]
    assert text == "a\N{REPLACEMENT CHARACTER}b"
    assert (await world.answer(person))["text"] == text


async def test_a_conversation_is_titled_by_the_beginning_of_its_first_message(
    client: Client, world: World, person: Person
) -> None:
    answer = await client.ask("  What\n\tis " + "love? " * 30)
    await client.ask("Never mind", conversation_id=answer["conversation_id"])
    conversation = await world.row("SELECT * FROM conversations WHERE user_id = $1", person.user_id)
    assert conversation["title"] == ("What is " + "love? " * 30)[:80]


async def test_charges_add_up_to_the_millionth(
    database_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    prices = {
        "price_prompt_credits_per_1k_tokens": Decimal("0.333333"),
        "price_completion_credits_per_1k_tokens": Decimal("1.000001"),
    }
    async with served_product(database_url, gateway.url, **prices) as url, client_of(url, person) as client:
        balance = Decimal(1000)
        for tokens in range(1, 8):
            gateway.reply = answering("ok", usage=Usage(tokens, tokens, 2 * tokens))
            answer = await client.ask()
            exact = (Decimal("0.333333") * tokens + Decimal("1.000001") * tokens) / 1000
            charge = Decimal(answer["charge_credits"])
            assert Decimal(0) <= charge - exact < Decimal("0.000001")
            balance -= charge
            assert Decimal(answer["balance_credits"]) == balance
    await world.check_books()


class TestContext:
    @pytest_asyncio.fixture
    async def client(self, database_url: str, gateway: FakeGateway, person: Person) -> AsyncIterator[Client]:
        async with (
            served_product(database_url, gateway.url, chat_context_limit=4) as url,
            client_of(url, person) as client,
        ):
            yield client

    async def test_the_last_completed_messages_go_along(self, client: Client, gateway: FakeGateway) -> None:
        conversation_id = None
        for number in range(1, 5):
            gateway.reply = answering(f"answer {number}")
            answer = await client.ask(f"question {number}", **_in(conversation_id))
            conversation_id = answer["conversation_id"]
        seen = [[message.content for message in call.request.messages] for call in gateway.calls]
        assert seen == [
            ["question 1"],
            ["question 1", "answer 1", "question 2"],
            ["question 1", "answer 1", "question 2", "answer 2", "question 3"],
            ["question 2", "answer 2", "question 3", "answer 3", "question 4"],
        ]
        assert [message.role for message in gateway.calls[-1].request.messages] == [*["user", "assistant"] * 2, "user"]

    async def test_answers_of_other_conversations_do_not(self, client: Client, gateway: FakeGateway) -> None:
        await client.ask("one")
        await client.ask("two")
        assert [message.content for message in gateway.calls[-1].request.messages] == ["two"]

    async def test_a_limit_of_zero_sends_the_new_message_alone(
        self, database_url: str, gateway: FakeGateway, person: Person
    ) -> None:
        async with (
            served_product(database_url, gateway.url, chat_context_limit=0) as url,
            client_of(url, person) as client,
        ):
            answer = await client.ask("one")
            await client.ask("two", conversation_id=answer["conversation_id"])
        assert [message.content for message in gateway.calls[-1].request.messages] == ["two"]


def _in(conversation_id: str | None) -> dict[str, str]:
    return {} if conversation_id is None else {"conversation_id": conversation_id}
