"""How an answer ended, as its sender, a later reader and the conversation see it."""

from collections.abc import Callable
from typing import get_args

import msgspec
import pytest

from b2b_chat.contract.schemas import ChatResult, FinishReason, Usage
from b2b_chat.contract.sse import encode
from support.database.world import World
from support.gateway.fake import ANSWER, EVENTS_HEAD, USAGE, Call, FakeGateway, Reply, delta, whole
from support.product.app import Client, client_of, follow


def ending(reason: FinishReason, counted: Callable[[int], Usage | None] = lambda _: USAGE) -> Reply:
    """Answer with this reason to end, and this usage for a limit of so many tokens."""

    async def reply(call: Call) -> None:
        usage = counted(call.request.max_completion_tokens)
        result = msgspec.json.encode(ChatResult(ANSWER, usage, reason))
        if not call.request.stream:
            await call.send(whole(200, result))
            return
        await call.send(EVENTS_HEAD)
        await call.send_chunk(delta(ANSWER))
        await call.send_chunk(encode(b"final", result))
        await call.send_chunk(b"")

    return reply


@pytest.mark.parametrize("reason", get_args(FinishReason))
@pytest.mark.parametrize("stream", [False, True])
async def test_the_reason_is_shown_everywhere(
    client: Client, gateway: FakeGateway, reason: FinishReason, *, stream: bool
) -> None:
    gateway.reply = ending(reason)
    same = {"client_message_id": "same"}
    if stream:
        start, *_, last = await client.stream(**same)
        answer = start.data | last.data
    else:
        answer = await client.ask(**same)
    repeated = await client.ask(**same)
    followed = (await follow(client, answer["assistant_message_id"]))[-1].data
    listed = (await client.http.get(f"/v1/conversations/{answer['conversation_id']}/messages")).json()["items"]
    (stored,) = [message for message in listed if message["id"] == answer["assistant_message_id"]]
    for shown in (answer, repeated, followed, stored):
        assert shown["finish_reason"] == reason
        assert (shown["cut_by"] is None) == (reason != "length")


def used(completion: int) -> Usage:
    return Usage(prompt_tokens=11, completion_tokens=completion, total_tokens=11 + completion)


LIMITS: dict[str, tuple[str, Callable[[int], Usage | None], str]] = {
    "all that was allowed": ("1000", used, "limit"),
    "a little more, as models do": ("1000", lambda limit: used(limit + 3), "limit"),
    "less than was allowed": ("1000", lambda limit: used(limit - 1), "model"),
    "far less": ("1000", lambda _: used(16), "model"),
    "not counted": ("1000", lambda _: None, "limit"),
    "all that could be paid for": ("1.5", used, "balance"),
    "less than could be paid for": ("1.5", lambda limit: used(limit - 1), "model"),
    "not counted, and little money": ("1.5", lambda _: None, "balance"),
}


@pytest.mark.parametrize("how", LIMITS)
@pytest.mark.parametrize("stream", [False, True])
async def test_whose_limit_cut_an_answer(
    product_url: str, gateway: FakeGateway, world: World, how: str, *, stream: bool
) -> None:
    balance, counted, cut_by = LIMITS[how]
    gateway.reply = ending("length", counted)
    person = await world.person(balance=balance)
    async with client_of(product_url, person) as client:
        answer = (await client.stream())[-1].data if stream else await client.ask()
    assert (answer["finish_reason"], answer["cut_by"]) == ("length", cut_by)
    assert (await world.answer(person))["cut_by"] == cut_by
    await world.check_books()
