"""What of a conversation goes along with the next message."""

import msgspec
import pytest

from b2b_chat.contract.errors import FAILURES, Code
from support.database.world import Person
from support.gateway.fake import ANSWER, FakeGateway, Gate, answering, error_event, events, refusing
from support.product.app import Client, answer_of, client_of, follow, served_product

NO_ANSWER = {
    "a stream that ends in an error": events(error_event("content_filtered")),
    "a stream that breaks off": events(),
}


def asked(gateway: FakeGateway) -> list[str]:
    """Return the texts that the model got with the last call."""
    return [message.text for message in gateway.calls[-1].request.messages]


@pytest.mark.parametrize("code", FAILURES)
async def test_a_question_that_failed_is_no_context(client: Client, gateway: FakeGateway, code: Code) -> None:
    first = await client.ask("First")
    gateway.reply = refusing(code)
    failed = await client.send("Failed", conversation_id=first["conversation_id"])
    assert failed.status_code >= 400
    gateway.reply = answering()
    await client.ask("Next", conversation_id=first["conversation_id"])
    assert asked(gateway) == ["First", ANSWER, "Next"]


@pytest.mark.parametrize("how", NO_ANSWER)
async def test_a_question_whose_stream_failed_is_no_context(client: Client, gateway: FakeGateway, how: str) -> None:
    gateway.reply = NO_ANSWER[how]
    failed = await client.send("Failed", stream=True)
    start, end = await follow(client, answer_of(failed))
    assert end.name == "error"
    gateway.reply = answering()
    await client.ask("Next", conversation_id=start.data["conversation_id"])
    assert asked(gateway) == ["Next"]


async def test_a_failed_question_that_is_answered_at_last_is_context(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = refusing("content_filtered")
    same = {"client_message_id": "same"}
    assert (await client.send("Again", **same)).status_code == 422
    gateway.reply = answering()
    answered = await client.ask("Again", **same)
    await client.ask("Next", conversation_id=answered["conversation_id"])
    assert asked(gateway) == ["Again", ANSWER, "Next"]


@pytest.mark.parametrize("kept", ["O", "Once upon", "Once upon a time"])
async def test_a_stopped_answer_is_context(client: Client, gateway: FakeGateway, kept: str) -> None:
    gateway.reply = Gate(kept, f"{kept} and more")
    async with client.streaming("Tell me a story") as streamed:
        start, _ = await anext(streamed), await anext(streamed)
        stopped = await client.http.post(f"/v1/chat/{start.data['assistant_message_id']}/stop")
        assert stopped.json()["text"] == kept
    gateway.reply = answering()
    await client.ask("Go on", conversation_id=start.data["conversation_id"])
    assert asked(gateway) == ["Tell me a story", kept, "Go on"]


@pytest.mark.parametrize("letter", ["x", "ю", "🚀", '"', "\n", "\x01"])
@pytest.mark.parametrize("max_bytes", [5_000, 9_000])
async def test_a_long_conversation_leaves_out_what_does_not_fit(
    database_url: str, gateway: FakeGateway, person: Person, letter: str, max_bytes: int
) -> None:
    limits = {"chat_request_max_bytes": max_bytes, "chat_context_limit": 40}
    async with served_product(database_url, gateway.url, **limits) as url, client_of(url, person) as client:
        conversation: dict[str, str] = {}
        for number in range(15):
            answer = await client.ask(f"{number} a{letter * 500}b", **conversation)
            conversation = {"conversation_id": answer["conversation_id"]}
            assert len(msgspec.json.encode(gateway.calls[-1].request)) <= max_bytes
        await client.ask("Short", **conversation)
    texts = asked(gateway)
    assert len(texts) % 2 == 1, "an exchange goes along whole or not at all"
    assert 3 <= len(texts) < 31
    assert texts[-1] == "Short"
    assert texts[-3].startswith("14 "), "the latest exchange fits, so it goes along"
