"""Calls as OpenAI's clients send them; answers are checked against OpenAI's form."""

import json
from typing import Any, Final

import httpx
import msgspec

from b2b_chat.contract.content import ToolCallPiece
from b2b_chat.contract.schemas import ChatResult, FinishReason, Usage
from b2b_chat.contract.sse import encode
from support.gateway.fake import Call, Reply, whole

PATH: Final = "/v1/chat/completions"
HELLO: Final = [{"role": "user", "content": "Hello"}]
USAGE: Final = Usage(11, 7, 18, cached_tokens=4, reasoning_tokens=3)
_PONG: Final = json.dumps({"version": "0", "model": "gpt-5.2", "server_time": 1, "contract": 3}).encode()
FIND: Final = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}


def body(**fields: Any) -> dict[str, Any]:
    """A request that is good, with other fields."""
    return {"model": "gpt-5.2", "messages": HELLO, **fields}


async def complete(http: httpx.AsyncClient, key: str | None = None, **fields: Any) -> httpx.Response:
    """Ask for an answer, once for each `key`."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return await http.post(PATH, json=body(**fields), headers=headers)


async def completed(http: httpx.AsyncClient, key: str | None = None, **fields: Any) -> dict[str, Any]:
    """Ask for an answer that must come."""
    response = await complete(http, key, **fields)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def chunks_of(response: httpx.Response) -> list[dict[str, Any]]:
    """The chunks of a stream, which must be whole: `[DONE]` and nothing else is at its end."""
    assert response.status_code == 200, response.text
    *events, done, rest = response.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in events if not event.startswith(":")]


def openai_error_of(response: httpx.Response) -> tuple[int, str, str | None]:
    """Status, code and param of a refusal, once its body is seen to be of OpenAI's form."""
    told = response.json()
    assert set(told) == {"error"}, told
    error = told["error"]
    assert set(error) == {"message", "type", "param", "code"}, told
    assert error["message"]
    assert error["type"]
    assert "client_message_id" not in error["message"]
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    return response.status_code, error["code"], error["param"]


def of_today(reply: Reply) -> Reply:
    """A gateway that takes options and tools."""

    async def answer(call: Call) -> None:
        await (reply(call) if call.body else call.send(whole(200, _PONG)))

    return answer


def tool_events(*pieces: ToolCallPiece) -> bytes:
    """`event: tool_call`, once for each piece."""
    return b"".join(encode(b"tool_call", msgspec.json.encode(piece)) for piece in pieces)


def ended(text: str = "", reason: FinishReason = "stop", **fields: Any) -> bytes:
    """`event: final`, with details of the usage."""
    return encode(b"final", msgspec.json.encode(ChatResult(text, USAGE, reason, **fields)))
