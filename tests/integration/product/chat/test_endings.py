"""How an answer ended, as its sender, a later reader and the conversation see it."""

from typing import get_args

import msgspec
import pytest

from b2b_chat.contract.schemas import ChatResult, FinishReason
from b2b_chat.contract.sse import encode
from support.gateway.fake import ANSWER, EVENTS_HEAD, USAGE, Call, FakeGateway, Reply, delta, whole
from support.product.app import Client, follow


def ending(reason: FinishReason) -> Reply:
    """Answer with this reason to end."""
    result = msgspec.json.encode(ChatResult(ANSWER, USAGE, reason))

    async def reply(call: Call) -> None:
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
