"""An answer as JSON, for programs that ask again and again; and a bound that the sender sets."""

from decimal import Decimal
from uuid import uuid4

import msgspec
import pytest

from b2b_chat.contract.schemas import ChatResult, Usage
from b2b_chat.contract.sse import encode
from support.database.world import Person, World
from support.gateway.fake import FakeGateway, delta, events, refusing
from support.product.app import Client, client_of, error_of


async def test_an_answer_is_shown_while_it_is_written_and_when_it_has_ended(
    client: Client, gateway: FakeGateway, world: World
) -> None:
    gateway.reply = events(delta("So far"), end=False)
    async with client.streaming("Hello") as streamed:
        start, _ = await anext(streamed), await anext(streamed)
        path = f"/v1/chat/{start.data['assistant_message_id']}"
        running = (await client.http.get(path)).json()
        assert running["status"] in {"pending", "streaming"}
        assert (running["text"], running["usage"], running["charge_credits"]) == ("So far", None, None)
        stopped = (await client.http.post(f"{path}/stop")).json()
    shown = (await client.http.get(path)).json()
    for name in ("conversation_id", "user_message_id", "assistant_message_id", "text", "usage"):
        assert shown[name] == stopped[name]
    assert shown["status"] == "stopped"
    assert Decimal(shown["charge_credits"]) == Decimal(stopped["charge_credits"]) > 0
    assert shown["error_code"] is None
    await world.check_books()


async def test_a_failed_answer_says_why(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = refusing("upstream_unavailable")
    refused = await client.send()
    (failed,) = (await client.http.get("/v1/conversations")).json()["items"]
    messages = (await client.http.get(f"/v1/conversations/{failed['id']}/messages")).json()["items"]
    shown = (await client.http.get(f"/v1/chat/{messages[1]['id']}")).json()
    assert (shown["status"], shown["error_code"], shown["retryable"]) == (
        "error",
        refused.json()["detail"]["code"],
        True,
    )
    assert (shown["text"], shown["usage"], shown["charge_credits"]) == ("", None, None)


async def test_another_persons_answer_is_not_found(client: Client, product_url: str, world: World) -> None:
    answer = await client.ask("Hello")
    path = f"/v1/chat/{answer['assistant_message_id']}"
    assert (await client.http.get(path)).json()["text"] == answer["text"]
    async with client_of(product_url, await world.person()) as stranger:
        assert error_of(await stranger.http.get(path)) == (404, "answer_not_found")
    assert error_of(await client.http.get(f"/v1/chat/{uuid4()}")) == (404, "answer_not_found")
    assert error_of(await client.http.get(f"/v1/chat/{answer['user_message_id']}")) == (404, "answer_not_found")


async def test_a_sender_may_bound_the_answer(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    cut = encode(b"final", msgspec.json.encode(ChatResult("cut", Usage(5, 7, 12), finish_reason="length")))
    gateway.reply = events(delta("cut"), cut)
    asked = {**client.message(), "max_completion_tokens": 7, "stream": True}
    answered = await client.http.post("/v1/chat", json=asked)
    assert gateway.calls[-1].request.max_completion_tokens == 7
    assert '"cut_by":"limit"' in answered.text
    (hold,) = await world.holds(person)
    assert hold["amount_credits"] < Decimal("0.1")
    again = await client.http.post("/v1/chat", json={**asked, "max_completion_tokens": 8})
    assert error_of(again) == (409, "idempotency_conflict")
    assert (await client.http.post("/v1/chat", json=asked)).status_code == 200
    assert len(gateway.calls) == 1
    await world.check_books()


@pytest.mark.parametrize("wrong", [0, -1, 1_000_001, "5", 1.5, None])
async def test_a_bound_that_is_none_is_refused(client: Client, gateway: FakeGateway, wrong: object) -> None:
    refused = await client.http.post("/v1/chat", json={**client.message(), "max_completion_tokens": wrong})
    assert refused.status_code == 400
    assert gateway.calls == []
