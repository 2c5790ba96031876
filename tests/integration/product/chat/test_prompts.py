"""What goes along with a message: exchanges that were answered, the last ones that fit."""

import pytest

from b2b_chat.contract.errors import Code
from support.database.world import Person, World
from support.gateway.fake import ANSWER, FakeGateway, answering, refusing
from support.product.app import Client, client_of, served_product


@pytest.mark.parametrize(
    "code", ["content_filtered", "context_length_exceeded", "upstream_failed", "upstream_empty", "upstream_permission"]
)
async def test_a_question_that_failed_does_not_go_along(client: Client, gateway: FakeGateway, code: Code) -> None:
    conversation = (await client.ask("First"))["conversation_id"]
    gateway.reply = refusing(code)
    assert not (await client.send("Failed", conversation_id=conversation)).is_success
    gateway.reply = answering()
    await client.ask("Then", conversation_id=conversation)
    said = [(message.role, message.content) for message in gateway.calls[-1].request.messages]
    assert said == [("user", "First"), ("assistant", ANSWER), ("user", "Then")]


@pytest.mark.parametrize(("limit", "exchanges"), [(0, 0), (1, 0), (2, 1), (5, 2), (6, 3)])
async def test_question_and_answer_go_along_together(
    database_url: str, gateway: FakeGateway, person: Person, limit: int, exchanges: int
) -> None:
    async with (
        served_product(database_url, gateway.url, chat_context_limit=limit) as url,
        client_of(url, person) as client,
    ):
        conversation = (await client.ask("0"))["conversation_id"]
        for number in range(1, 4):
            await client.ask(str(number), conversation_id=conversation)
        await client.ask("last", conversation_id=conversation)
    said = [message.content for message in gateway.calls[-1].request.messages]
    assert said == [each for number in range(4 - exchanges, 4) for each in (str(number), ANSWER)] + ["last"]


@pytest.mark.parametrize("change", [{"chat_request_max_bytes": 9_000}, {"chat_context_max_tokens": 1_000}])
@pytest.mark.parametrize("letter", ["a", "ю", "\n", "😀"])
async def test_the_oldest_are_left_out_of_what_is_too_long(
    database_url: str, gateway: FakeGateway, world: World, person: Person, change: dict[str, int], letter: str
) -> None:
    text = letter.join(map(str, range(200)))
    async with served_product(database_url, gateway.url, **change) as url, client_of(url, person) as client:
        conversation = (await client.ask(text))["conversation_id"]
        for _ in range(14):
            await client.ask(text, conversation_id=conversation)
    for call in gateway.calls:
        assert len(call.body) <= change.get("chat_request_max_bytes", 1_048_576)
        assert call.request.messages[-1].content == text
        assert len(call.request.messages) % 2 == 1
    assert 1 <= len(gateway.calls[-1].request.messages) < 21
    await world.check_books()
