"""Bodies of the Chat Completions API, and the gateway's reading of them."""

import json
from typing import Any

import msgspec
import pytest

from b2b_chat.contract.schemas import ChatResult, Usage
from b2b_chat.gateway.errors import UpstreamFailure
from b2b_chat.gateway.openai_wire import StreamReader

FIGURES = Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)


def whole(**changes: Any) -> bytes:
    """The body of a call that was not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": "Hello", "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {**msgspec.to_builtins(FIGURES), "prompt_tokens_details": {"audio_tokens": 0}}
    return json.dumps({"id": "x", "choices": [choice], "usage": usage, "service_tier": "default", **changes}).encode()


def choice(content: Any = "Hello", finish_reason: str | None = "stop", **message: Any) -> list[dict[str, Any]]:
    return [{"index": 0, "message": {"content": content, **message}, "finish_reason": finish_reason}]


def read_stream(*chunks: bytes) -> tuple[list[str], ChatResult]:
    reader = StreamReader()
    texts = [text for chunk in chunks if (text := reader.feed(chunk))]
    reader.end()
    return texts, reader.result()


def code_of(error: pytest.ExceptionInfo[UpstreamFailure]) -> str:
    return error.value.failure.code
