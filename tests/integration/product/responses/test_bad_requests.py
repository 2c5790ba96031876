"""Requests for responses that are refused: each names the field at fault, and nothing is stored, held or asked."""

import re
from typing import Any, Final

import pytest

from support.database.world import Person, World
from support.gateway.fake import FakeGateway
from support.product.app import Client, client_of
from support.product.completions import openai_error_of
from support.product.sessions import session_client

PATH: Final = "/v1/responses"
GOOD: Final[dict[str, Any]] = {"model": "gpt-5.2", "input": "Hello"}
UNSUPPORTED: Final = "unsupported_parameter"
INVALID: Final = "invalid_request"


def said(*parts: Any, **fields: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": list(parts) or "Hello", **fields}]}


# fields -> status, code, param
FIELDS: Final[dict[str, tuple[dict[str, Any], tuple[int, str, str | None]]]] = {
    "a response before": ({"previous_response_id": "resp_1"}, (400, UNSUPPORTED, "previous_response_id")),
    "a conversation": ({"conversation": "conv_1"}, (400, UNSUPPORTED, "conversation")),
    "in the background": ({"background": True}, (400, UNSUPPORTED, "background")),
    "a stored prompt": ({"prompt": {"id": "p"}}, (400, UNSUPPORTED, "prompt")),
    "a managed context": ({"context_management": [{"type": "a"}]}, (400, UNSUPPORTED, "context_management")),
    "log probabilities": ({"top_logprobs": 2}, (400, UNSUPPORTED, "top_logprobs")),
    "included log probabilities": ({"include": ["message.output_text.logprobs"]}, (400, UNSUPPORTED, "include")),
    "no model": ({"model": ...}, (400, INVALID, "model")),
    "another model": ({"model": "gpt-4o"}, (404, "model_not_found", "model")),
    "no input": ({"input": ...}, (400, INVALID, "input")),
    "input that is a number": ({"input": 5}, (400, INVALID, "input")),
    "an empty input": ({"input": []}, (400, INVALID, "input")),
    "too many items": ({"input": [{"role": "user", "content": "a"}] * 1025}, (400, INVALID, "input")),
    "an item that is a text": ({"input": ["Hello"]}, (400, INVALID, "input")),
    "an item of another kind": ({"input": [{"type": "web_search_call"}]}, (400, UNSUPPORTED, "input[0].type")),
    "a reference": ({"input": [{"type": "item_reference", "id": "a"}]}, (400, UNSUPPORTED, "input[0].type")),
    "an unknown role": (said(role="robot"), (400, INVALID, "input[0].role")),
    "no content": (said(content=None), (400, INVALID, "input[0]")),
    "a part that is a text": (said("a"), (400, INVALID, "input[0].content[0]")),
    "a file": (said({"type": "input_file", "file_id": "a"}), (400, UNSUPPORTED, "input[0].content[0].type")),
    "an image of the files": (
        said({"type": "input_image", "file_id": "a"}),
        (400, UNSUPPORTED, "input[0].content[0].type"),
    ),
    "an image by its address": (
        said({"type": "input_image", "image_url": "https://example.com/a.png"}),
        (400, "remote_image", "input[0].content[0].image_url"),
    ),
    "a text part without a text": (said({"type": "input_text"}), (400, INVALID, "input[0].content[0].text")),
    "a call without an id": (
        {"input": [{"type": "function_call", "name": "a", "arguments": "{}"}]},
        (400, INVALID, "input[0].tool_calls[0].id"),
    ),
    "a result without its call": (
        {"input": [{"type": "function_call_output", "output": "a"}]},
        (400, INVALID, "input[0].tool_call_id"),
    ),
    "no tokens": ({"max_output_tokens": 0}, (400, INVALID, "max_output_tokens")),
    "too hot": ({"temperature": 2.1}, (400, INVALID, "temperature")),
    "an unknown effort": ({"reasoning": {"effort": "utmost"}}, (400, INVALID, "reasoning_effort")),
    "an unknown format": ({"text": {"format": {"type": "xml"}}}, (400, UNSUPPORTED, "text.format.type")),
    "a schema without a name": (
        {"text": {"format": {"type": "json_schema", "schema": {}}}},
        (400, INVALID, "response_format.json_schema.name"),
    ),
    "a tool of OpenAI's": ({"tools": [{"type": "web_search"}]}, (400, UNSUPPORTED, "tools[0].type")),
    "a function with a bad name": (
        {"tools": [{"type": "function", "name": "a b", "parameters": {}}]},
        (400, INVALID, "tools[0].function.name"),
    ),
    "a choice of OpenAI's": ({"tool_choice": {"type": "web_search"}}, (400, UNSUPPORTED, "tool_choice.type")),
    "stream that is a text": ({"stream": "true"}, (400, INVALID, "stream")),
    "a NUL": ({"input": "\0"}, (400, "nul_character", None)),
    "too large": ({"input": "x" * 2_000_000}, (413, "body_too_large", None)),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("what", FIELDS)
async def test_a_field_that_is_refused(
    client: Client, gateway: FakeGateway, world: World, person: Person, what: str, stream: bool
) -> None:
    fields, expected = FIELDS[what]
    body = {name: value for name, value in {**GOOD, "stream": stream, **fields}.items() if value is not ...}
    assert openai_error_of(await client.http.post(PATH, json=body)) == expected
    assert gateway.calls == []
    assert await world.messages(person) == []
    assert await world.holds(person) == []


async def test_without_a_key_of_the_api(product_url: str, world: World, person: Person) -> None:
    async with client_of(product_url, None) as stranger, session_client(product_url, world, person) as browser:
        for http in (stranger.http, browser):
            assert openai_error_of(await http.post(PATH, json=GOOD)) == (401, "invalid_api_key", None)


async def test_what_is_stored_at_openai_is_not_here(client: Client) -> None:
    for method, path in (("GET", f"{PATH}/resp_1"), ("DELETE", f"{PATH}/resp_1"), ("POST", f"{PATH}/resp_1/cancel")):
        assert openai_error_of(await client.http.request(method, path))[:2] == (404, "not_found")


async def test_what_is_taken_and_of_no_effect(client: Client, gateway: FakeGateway) -> None:
    harmless: dict[str, Any] = {
        "store": True, "background": False, "previous_response_id": None, "tools": [], "include": [], "user": "me",
        "text": {"format": {"type": "text"}}, "reasoning": {"summary": "auto"}, "truncation": "auto",
        "metadata": {"a": "b"}, "service_tier": "auto", "a_field_of_tomorrow": 1, "temperature": None,
    }  # fmt: skip
    items = [{"type": "reasoning", "id": "rs_1", "summary": []}, {"role": "user", "content": "Hello", "status": "a"}]
    answer = (await client.http.post(PATH, json={**GOOD, "input": items, **harmless})).json()
    assert (answer["status"], answer["store"], answer["metadata"]) == ("completed", False, {"a": "b"})
    assert re.fullmatch("resp_[0-9a-f]{32}", answer["id"])
    [call] = gateway.calls
    assert [(message.role, message.content) for message in call.request.messages] == [("user", "Hello")]
