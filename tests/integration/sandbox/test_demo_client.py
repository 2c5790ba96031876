"""How the demo takes what a product_api should never do."""

import asyncio
import json
from typing import Any

import pytest

from b2b_chat.sandbox.demo import run_demo
from b2b_chat.sandbox.errors import SandboxError
from support.http.serving import serve

START = {"conversation_id": "c", "user_message_id": "u", "assistant_message_id": "a"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def final(balance: str) -> tuple[str, dict[str, Any]]:
    return "final", {"text": "Hi", "usage": USAGE, "charge_credits": "0.5", "balance_credits": balance}


class Product:
    """Answers the n-th chat with the n-th stream."""

    def __init__(self, *streams: list[tuple[str, dict[str, Any]]]) -> None:
        self._streams = list(streams)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for name, data in self._streams.pop(0):
            event = f"event: {name}\ndata: {json.dumps(data)}\n\n"
            await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def shown(product: Product) -> str:
    pieces: list[str] = []
    async with serve(product) as url:
        await asyncio.to_thread(run_demo, url, "key", "Hello", pieces.append)
    return "".join(pieces)


async def test_what_is_shown() -> None:
    stream = [("start", START), ("delta", {"text": "Hi"}), ("later_version", {}), final("9.5")]
    assert await shown(Product(stream, stream)) == (
        "You:       Hello\n"
        "Assistant: Hi\n"
        "\n"
        "Usage:     1 prompt + 2 completion = 3 tokens\n"
        "Charge:    0.5 credits\n"
        "Balance:   9.5 credits\n"
        "Retry:     same client_message_id, same ids: user u, assistant a; charged 0 credits\n"
    )


@pytest.mark.parametrize(
    "again",
    [[("start", START), final("9.0")], [("start", {**START, "user_message_id": "v"}), final("9.5")]],
    ids=["charged again", "other ids"],
)
async def test_a_retry_that_is_not_the_same_message_is_a_failure(again: list[tuple[str, dict[str, Any]]]) -> None:
    with pytest.raises(SandboxError, match="The retry is not the same message"):
        await shown(Product([("start", START), final("9.5")], again))


async def test_a_stream_that_ends_without_final_is_a_failure() -> None:
    with pytest.raises(SandboxError, match=r"without a final event"):
        await shown(Product([("start", START), ("delta", {"text": "Hi"})]))


async def test_a_connection_that_breaks_is_a_failure() -> None:
    with pytest.raises(SandboxError, match="product_api broke off the chat: "):
        await asyncio.to_thread(run_demo, "http://127.0.0.1:1", "key", "Hello", lambda _: None)
