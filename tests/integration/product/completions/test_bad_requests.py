"""Calls that are refused: each names the field at fault in OpenAI's form, and nothing is stored, held or asked."""

import json
from typing import Any, Final

import pytest

from b2b_chat.product.vocabulary import Scope
from support.database.world import Person, World
from support.gateway.fake import FakeGateway
from support.product.app import Client, client_of, served_product
from support.product.completions import FIND, HELLO, PATH, body, complete, openai_error_of
from support.product.sessions import session_client

UNSUPPORTED: Final = "unsupported_parameter"
INVALID: Final = "invalid_request"


def said(**fields: Any) -> dict[str, Any]:
    """A request with one message of the user's."""
    return {"messages": [{"role": "user", "content": "Hello", **fields}]}


def part(**fields: Any) -> dict[str, Any]:
    return said(content=[{"type": "text", "text": "Hello"}, fields])


def image(url: Any, **fields: Any) -> dict[str, Any]:
    return part(type="image_url", image_url={"url": url, **fields})


def called(**fields: Any) -> dict[str, Any]:
    call = {"id": "a", "type": "function", "function": {"name": "find", "arguments": "{}"}, **fields}
    return {"messages": [*HELLO, {"role": "assistant", "content": None, "tool_calls": [call]}]}


# fields -> status, code, param
FIELDS: Final[dict[str, tuple[dict[str, Any], tuple[int, str, str | None]]]] = {
    "two answers": ({"n": 2}, (400, UNSUPPORTED, "n")),
    "no answer": ({"n": 0}, (400, UNSUPPORTED, "n")),
    "log probabilities": ({"logprobs": True}, (400, UNSUPPORTED, "logprobs")),
    "many of them": ({"top_logprobs": 5}, (400, UNSUPPORTED, "top_logprobs")),
    "a bias": ({"logit_bias": {"50256": -100}}, (400, UNSUPPORTED, "logit_bias")),
    "sound": ({"modalities": ["text", "audio"]}, (400, UNSUPPORTED, "modalities")),
    "a voice": ({"audio": {"voice": "alloy", "format": "wav"}}, (400, UNSUPPORTED, "audio")),
    "a prediction": ({"prediction": {"type": "content", "content": "a"}}, (400, UNSUPPORTED, "prediction")),
    "a search of the web": ({"web_search_options": {}}, (400, UNSUPPORTED, "web_search_options")),
    "functions of old": ({"functions": [{"name": "find"}]}, (400, UNSUPPORTED, "functions")),
    "a function call of old": ({"function_call": "auto"}, (400, UNSUPPORTED, "function_call")),
    "no model": ({"model": ...}, (400, INVALID, "model")),
    "a model that is a number": ({"model": 5}, (400, INVALID, "model")),
    "another model": ({"model": "gpt-4o"}, (404, "model_not_found", "model")),
    "no messages": ({"messages": ...}, (400, INVALID, "messages")),
    "an empty list of messages": ({"messages": []}, (400, INVALID, "messages")),
    "too many messages": ({"messages": HELLO * 1025}, (400, INVALID, "messages")),
    "a message that is a text": ({"messages": ["Hello"]}, (400, INVALID, "messages")),
    "a message without a role": ({"messages": [{"content": "Hello"}]}, (400, INVALID, "role")),
    "an unknown role": (said(role="robot"), (400, INVALID, "messages[0].role")),
    "the role of a function": (said(role="function", name="f"), (400, UNSUPPORTED, "messages[0].role")),
    "a call of a function": (said(function_call={"name": "f"}), (400, UNSUPPORTED, "messages[0].function_call")),
    "sound in a message": (said(role="assistant", audio={"id": "a"}), (400, UNSUPPORTED, "messages[0].audio")),
    "no content": (said(content=None), (400, INVALID, "messages[0]")),
    "content that is a number": (said(content=5), (400, INVALID, "messages")),
    "content without a part": (said(content=[]), (400, INVALID, "messages[0].content")),
    "too many parts": (said(content=[{"type": "text", "text": "a"}] * 257), (400, INVALID, "messages[0].content")),
    "a part without a type": (part(text="a"), (400, UNSUPPORTED, "messages[0].content[1].type")),
    "a part of sound": (part(type="input_audio"), (400, UNSUPPORTED, "messages[0].content[1].type")),
    "a part that is a file": (part(type="file", file={}), (400, UNSUPPORTED, "messages[0].content[1].type")),
    "a text part without a text": (part(type="text"), (400, INVALID, "messages[0].content[1].text")),
    "an image that is a text": (
        part(type="image_url", image_url="a"),
        (400, INVALID, "messages[0].content[1].image_url"),
    ),
    "an image by its address": (
        image("https://example.com/a.png"),
        (400, "remote_image", "messages[0].content[1].image_url.url"),
    ),
    "an image in a file": (image("file:///etc/passwd"), (400, "remote_image", "messages[0].content[1].image_url.url")),
    "an image of another kind": (
        image("data:image/svg+xml;base64,AAAA"),
        (400, "remote_image", "messages[0].content[1].image_url.url"),
    ),
    "an image that is no Base64": (
        image("data:image/png;base64,@@@@"),
        (400, "remote_image", "messages[0].content[1].image_url.url"),
    ),
    "an image without an address": (image(None), (400, "remote_image", "messages[0].content[1].image_url.url")),
    "a detail of another kind": (
        image("data:image/png;base64,AAAA", detail="most"),
        (400, INVALID, "messages[0].content[1].image_url.detail"),
    ),
    "an image of the assistant": (
        {
            "messages": [
                {
                    "role": "assistant",
                    "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
                }
            ]
        },
        (400, INVALID, "messages[0]"),
    ),
    "a call of a custom tool": (called(type="custom"), (400, UNSUPPORTED, "messages[1].tool_calls[0].type")),
    "a call without an id": (called(id=None), (400, INVALID, "messages[1].tool_calls[0].id")),
    "a call without a function": (called(function=None), (400, INVALID, "messages[1].tool_calls[0].function")),
    "arguments that are an object": (
        called(function={"name": "find", "arguments": {}}),
        (400, INVALID, "messages[1].tool_calls[0].function.arguments"),
    ),
    "calls of the user": (
        said(tool_calls=[{"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]),
        (400, INVALID, "messages[0]"),
    ),
    "a result without its call": (said(role="tool"), (400, INVALID, "messages[0]")),
    "a result of the user": (said(tool_call_id="a"), (400, INVALID, "messages[0]")),
    "no tokens": ({"max_tokens": 0}, (400, INVALID, "max_tokens")),
    "tokens that are a text": ({"max_completion_tokens": "5"}, (400, INVALID, "max_completion_tokens")),
    "too hot": ({"temperature": 2.1}, (400, INVALID, "temperature")),
    "a temperature that is a text": ({"temperature": "0.5"}, (400, INVALID, "temperature")),
    "more than everything": ({"top_p": 1.1}, (400, INVALID, "top_p")),
    "too high a penalty": ({"frequency_penalty": 3}, (400, INVALID, "frequency_penalty")),
    "too low a penalty": ({"presence_penalty": -3}, (400, INVALID, "presence_penalty")),
    "too many stops": ({"stop": ["a", "b", "c", "d", "e"]}, (400, INVALID, "stop")),
    "a seed that is a text": ({"seed": "a"}, (400, INVALID, "seed")),
    "too large a seed": ({"seed": 2**63}, (400, INVALID, "seed")),
    "an unknown effort": ({"reasoning_effort": "utmost"}, (400, INVALID, "reasoning_effort")),
    "an unknown verbosity": ({"verbosity": "chatty"}, (400, INVALID, "verbosity")),
    "stream that is a text": ({"stream": "true"}, (400, INVALID, "stream")),
    "stream options that are a list": ({"stream_options": []}, (400, INVALID, "stream_options")),
    "an unknown format": ({"response_format": {"type": "xml"}}, (400, UNSUPPORTED, "response_format.type")),
    "a format that is a text": ({"response_format": "json"}, (400, INVALID, "response_format")),
    "a format without a schema": (
        {"response_format": {"type": "json_schema"}},
        (400, INVALID, "response_format.json_schema"),
    ),
    "a schema without a name": (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
        (400, INVALID, "response_format.json_schema.name"),
    ),
    "a custom tool": ({"tools": [{"type": "custom", "custom": {"name": "a"}}]}, (400, UNSUPPORTED, "tools[0].type")),
    "a tool of OpenAI's": ({"tools": [FIND, {"type": "web_search"}]}, (400, UNSUPPORTED, "tools[1].type")),
    "a tool without a function": ({"tools": [{"type": "function"}]}, (400, INVALID, "tools[0].function")),
    "a function with a bad name": (
        {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        (400, INVALID, "tools[0].function.name"),
    ),
    "too many tools": ({"tools": [FIND] * 129}, (400, INVALID, "tools")),
    "an unknown choice": ({"tools": [FIND], "tool_choice": "maybe"}, (400, INVALID, "tool_choice")),
    "a choice among tools": ({"tool_choice": {"type": "allowed_tools"}}, (400, UNSUPPORTED, "tool_choice.type")),
    "parallel calls that are a text": ({"parallel_tool_calls": "no"}, (400, INVALID, "parallel_tool_calls")),
    "a NUL": (said(content="\0"), (400, "nul_character", None)),
    "too much for the border": (said(content="x" * 1_047_500), (400, "context_length_exceeded", "messages")),
}

# body, headers -> status, code
BODIES: Final[dict[str, tuple[bytes, dict[str, str], tuple[int, str]]]] = {
    "broken JSON": (b"{", {}, (400, INVALID)),
    "nothing": (b"", {}, (400, INVALID)),
    "not UTF-8": (b'{"model": "\xff"}', {}, (400, "invalid_unicode")),
    "deep lists": (b"[" * 2000 + b"]" * 2000, {}, (400, "too_deeply_nested")),
    "too large": (b" " * 2_000_000, {}, (413, "body_too_large")),
    "no JSON": (b"{}", {"Content-Type": "text/plain"}, (415, "unsupported_media_type")),
}


async def left_no_trace(gateway: FakeGateway, world: World, person: Person) -> None:
    assert gateway.calls == []
    assert await world.messages(person) == []
    assert await world.holds(person) == []
    await world.check_books()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("what", FIELDS)
async def test_a_field_that_is_refused(
    client: Client, gateway: FakeGateway, world: World, person: Person, what: str, stream: bool
) -> None:
    fields, expected = FIELDS[what]
    request = {name: value for name, value in body(**{"stream": stream, **fields}).items() if value is not ...}
    assert openai_error_of(await client.http.post(PATH, json=request)) == expected
    await left_no_trace(gateway, world, person)


@pytest.mark.parametrize("what", BODIES)
async def test_a_body_that_is_none(
    client: Client, gateway: FakeGateway, world: World, person: Person, what: str
) -> None:
    content, headers, expected = BODIES[what]
    response = await client.http.post(PATH, content=content, headers={"Content-Type": "application/json", **headers})
    assert openai_error_of(response)[:2] == expected
    await left_no_trace(gateway, world, person)


@pytest.mark.parametrize("key", ["", "a" * 256, "a\tb"])
async def test_a_key_that_is_none(client: Client, gateway: FakeGateway, world: World, person: Person, key: str) -> None:
    assert openai_error_of(await complete(client.http, key)) == (400, INVALID, "Idempotency-Key")
    await left_no_trace(gateway, world, person)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", PATH, (405, "method_not_allowed", None)),
        ("GET", f"{PATH}/chatcmpl-1", (404, "not_found", None)),
        ("DELETE", "/v1/models/gpt-5.2", (405, "method_not_allowed", None)),
        ("GET", "/v1/models/gpt-4o", (404, "model_not_found", "model")),
        ("GET", "/v1/models?order=desc", (400, "unknown_parameter", "order")),
    ],
)
async def test_an_address_that_is_none(
    client: Client, method: str, path: str, expected: tuple[int, str, str | None]
) -> None:
    assert openai_error_of(await client.http.request(method, path)) == expected


async def test_without_a_key_of_the_api(product_url: str, gateway: FakeGateway, world: World, person: Person) -> None:
    async with client_of(product_url, None) as stranger, session_client(product_url, world, person) as browser:
        for http in (stranger.http, browser):
            for response in (await complete(http), await http.get("/v1/models")):
                assert openai_error_of(response) == (401, "invalid_api_key", None)
        wrong = {"Authorization": "Bearer b2b_wrong"}
        assert openai_error_of(await stranger.http.post(PATH, json=body(), headers=wrong))[:2] == (
            401,
            "invalid_api_key",
        )
    await left_no_trace(gateway, world, person)


async def test_with_a_key_of_another_scope(
    product_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    reader = await world.person(company_id=person.company_id, scopes=[Scope.READ])
    async with client_of(product_url, reader) as client:
        for response in (await complete(client.http), await client.http.get("/v1/models")):
            assert openai_error_of(response)[:2] == (403, "scope_missing")
    await left_no_trace(gateway, world, reader)


async def test_without_credits(client: Client, gateway: FakeGateway, world: World, person: Person) -> None:
    await world.spend_all(person)
    refused = await complete(client.http)
    assert openai_error_of(refused) == (402, "insufficient_quota", None)
    assert refused.json()["error"]["type"] == "insufficient_quota"
    assert refused.headers["x-should-retry"] == "false"
    assert gateway.calls == []


async def test_over_a_limit(database_url: str, world: World, gateway: FakeGateway) -> None:
    async with (
        served_product(database_url, gateway.url, chat_rpm_per_user=1) as url,
        client_of(url, await world.person()) as client,
    ):
        first = await complete(client.http)
        assert (first.headers["x-ratelimit-limit-requests"], first.headers["x-ratelimit-remaining-requests"]) == (
            "1",
            "0",
        )
        limited = await complete(client.http)
    assert openai_error_of(limited) == (429, "rate_limit_exceeded", None)
    assert int(limited.headers["retry-after"]) >= 1
    assert limited.headers["x-should-retry"] == "true"
    assert limited.headers["x-ratelimit-remaining-requests"] == "0"
    assert limited.headers["x-ratelimit-reset-requests"].endswith("s")


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_taken_and_of_no_effect(client: Client, gateway: FakeGateway, stream: bool) -> None:
    harmless: dict[str, Any] = {
        "n": 1, "logprobs": False, "top_logprobs": None, "logit_bias": {}, "modalities": ["text"], "audio": None,
        "functions": [], "tools": [], "tool_choice": None, "stop": [], "response_format": {"type": "text"},
        "user": "me", "metadata": {"a": "b"}, "store": False, "service_tier": "auto", "prompt_cache_key": "a",
        "safety_identifier": "b", "seed": None, "temperature": None, "max_tokens": None, "stream_options": None,
        "a_field_of_tomorrow": [1, 2],
    }  # fmt: skip
    messages = [{"role": "user", "content": "Hello", "name": "Ann", "tool_calls": None, "a_field_of_tomorrow": 1}]
    response = await complete(client.http, stream=stream, messages=messages, **harmless)
    assert response.status_code == 200, response.text
    [call] = gateway.calls
    crossed = json.loads(call.body)
    assert set(crossed) == {"model", "messages", "stream", "max_completion_tokens", "metadata"}
    assert crossed["messages"] == HELLO
