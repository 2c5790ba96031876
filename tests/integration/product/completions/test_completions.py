"""Answers to OpenAI's clients: their form, whole and streamed, and what crosses the border for them."""

import json
from typing import Any

import pytest

from b2b_chat.contract.content import ToolCallPiece
from b2b_chat.contract.sse import encode
from support.database.world import Person, World
from support.gateway.fake import (
    ANSWER,
    EVENTS_HEAD,
    Call,
    FakeGateway,
    answering,
    delta,
    error_event,
    events,
    final,
    in_turn,
    refusing,
    sending,
    whole,
)
from support.product.app import Client, client_of, served_product
from support.product.completions import (
    FIND,
    USAGE,
    chunks_of,
    complete,
    completed,
    ended,
    of_today,
    openai_error_of,
    tool_events,
)

DETAILED = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 3,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}


def only(chunk: dict[str, Any]) -> dict[str, Any]:
    (choice,) = chunk["choices"]
    assert set(choice) == {"index", "delta", "logprobs", "finish_reason"}
    found: dict[str, Any] = choice["delta"]
    return found


async def test_a_whole_answer(client: Client, gateway: FakeGateway, world: World, person: Person) -> None:
    gateway.reply = answering(usage=USAGE)
    response = await complete(client.http)
    answer = response.json()
    b2b = answer.pop("b2b")
    assert answer.pop("created") > 1_700_000_000
    assert answer == {
        "id": f"chatcmpl-{b2b['assistant_message_id'].replace('-', '')}",
        "object": "chat.completion",
        "model": "gpt-5.2",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": ANSWER, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": DETAILED,
        "service_tier": None,
        "system_fingerprint": None,
    }
    *_, charge = await world.ledger(person)
    assert (str(charge["message_id"]), str(-charge["amount_credits"])) == (
        b2b["user_message_id"],
        b2b["charge_credits"],
    )
    assert response.headers["x-b2b-charge-credits"] == b2b["charge_credits"]
    assert b2b["balance_credits"] == str(charge["balance_after_credits"])
    assert b2b["is_estimated"] is False
    await world.check_books()


@pytest.mark.parametrize("include_usage", [False, True])
async def test_a_streamed_answer(client: Client, gateway: FakeGateway, include_usage: bool) -> None:
    gateway.reply = answering(usage=USAGE)
    response = await complete(client.http, stream=True, stream_options={"include_usage": include_usage})
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    chunks = chunks_of(response)
    assert len({(chunk["id"], chunk["created"], chunk["object"], chunk["model"]) for chunk in chunks}) == 1
    assert chunks[0]["object"] == "chat.completion.chunk"
    if include_usage:
        usage = chunks.pop()
        assert (usage["choices"], usage["usage"]) == ([], DETAILED)
        assert all(chunk["usage"] is None for chunk in chunks)
    else:
        assert all("usage" not in chunk for chunk in chunks)
    assert only(chunks[0]) == {"role": "assistant", "content": "", "refusal": None}
    assert "".join(only(chunk)["content"] for chunk in chunks[1:-1]) == ANSWER
    assert only(chunks[-1]) == {}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert chunks[-1]["b2b"]["charge_credits"] == "0.013400"


async def test_a_text_that_breaks_lines_comes_whole(client: Client, gateway: FakeGateway) -> None:
    text = 'a\r\n\u2028b\u2029c\u0085 "d" \\ \N{PILE OF POO}'
    gateway.reply = answering(text, pieces=1)
    chunks = chunks_of(await complete(client.http, stream=True))
    assert "".join(only(chunk)["content"] for chunk in chunks[:-1]) == text


async def test_calls_of_tools_whole_and_in_pieces(client: Client, gateway: FakeGateway) -> None:
    pieces = [ToolCallPiece(0, "call_a", "find"), ToolCallPiece(0, arguments='{"a"'), ToolCallPiece(0, arguments=":1}")]
    second = ToolCallPiece(1, "call_b", "find", "{}")
    gateway.reply = of_today(events(tool_events(*pieces), tool_events(second), ended(reason="tool_calls")))
    chunks = chunks_of(await complete(client.http, "once", stream=True, tools=[FIND]))
    # The SDK takes two pieces in the first chunk that has any for two calls.
    told = [piece for chunk in chunks[1:-1] for (piece,) in [only(chunk)["tool_calls"]]]
    assert told[0] == {"index": 0, "id": "call_a", "type": "function", "function": {"name": "find", "arguments": ""}}
    assert "".join(piece["function"]["arguments"] for piece in told if piece["index"] == 0) == '{"a":1}'
    assert all("id" not in piece and "name" not in piece["function"] for piece in told[1:-1])
    assert told[-1]["function"] == {"name": "find", "arguments": "{}"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    answer = await completed(client.http, "once", tools=[FIND])
    assert answer["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [
            {"id": "call_a", "function": {"name": "find", "arguments": '{"a":1}'}, "type": "function"},
            {"id": "call_b", "function": {"name": "find", "arguments": "{}"}, "type": "function"},
        ],
    }
    assert len([call for call in gateway.calls if call.body]) == 1


async def test_a_refusal_of_the_model(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = events(encode(b"delta", b'{"text":"No.","refusal":true}'), ended("No.", refusal=True))
    chunks = chunks_of(await complete(client.http, "once", stream=True))
    assert [only(chunk).get("refusal") for chunk in chunks[1:-1]] == ["No."]
    message = (await completed(client.http, "once"))["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, "No.")


async def test_an_answer_that_is_cut_says_so(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = events(delta("Once"), ended("Once", "length"))
    chunks = chunks_of(await complete(client.http, stream=True, max_tokens=7))
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert gateway.calls[-1].request.max_completion_tokens == 7


async def test_all_that_is_asked_crosses_the_border(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = of_today(answering())
    schema = {"name": "a", "schema": {"type": "object"}, "strict": True}
    options: dict[str, Any] = {
        "temperature": 1, "top_p": 0.5, "frequency_penalty": -1, "presence_penalty": 2, "stop": ["a"], "seed": -5,
        "reasoning_effort": "low", "verbosity": "high", "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": schema},
        "tools": [
            {"type": "function", "function": {"name": "find", "description": "d", "parameters": {}, "strict": True}}
        ],
        "tool_choice": {"type": "function", "function": {"name": "find"}},
    }  # fmt: skip
    call = {"id": "call_9", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    messages: list[Any] = [
        {"role": "developer", "content": [{"type": "text", "text": "Be short."}]},
        {"role": "user", "content": [{"type": "text", "text": "Find."}]},
        {"role": "assistant", "content": "", "tool_calls": [call], "refusal": None},
        {"role": "tool", "tool_call_id": "call_9", "content": "[1]"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "assistant", "content": None, "refusal": "Never."},
        {"role": "user", "content": "Why?"},
    ]
    await completed(client.http, messages=messages, max_completion_tokens=9, max_tokens=5, **options)
    crossed = json.loads(gateway.calls[-1].body)
    assert crossed["max_completion_tokens"] == 9
    assert {name: crossed[name] for name in options} == options
    assert [message["role"] for message in crossed["messages"]][-7:] == [message["role"] for message in messages]
    assert crossed["messages"][-4] == {"role": "tool", "content": "[1]", "tool_call_id": "call_1"}
    assert crossed["messages"][-5]["tool_calls"][0]["id"] == "call_1"
    assert crossed["messages"][-2]["content"] == "Never."


@pytest.mark.parametrize("kind", ["jpeg", "jpg"])
async def test_an_image_in_the_request(database_url: str, world: World, gateway: FakeGateway, kind: str) -> None:
    gateway.reply = of_today(answering())
    person = await world.person()
    policy = json.dumps({"allow_images": True})
    await world.rows("INSERT INTO masking_policies (company_id, policy) VALUES ($1, $2)", person.company_id, policy)
    image = {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,iVBORw0KGgo=", "detail": "low"}}
    seen = [{"role": "user", "content": [{"type": "text", "text": "Who?"}, image]}]
    async with served_product(database_url, gateway.url) as url, client_of(url, person) as client:
        await completed(client.http, messages=seen)
    crossed = json.loads(gateway.calls[-1].body)["messages"][-1]["content"][1]
    assert crossed["image_url"] == {"url": "data:image/jpeg;base64,iVBORw0KGgo=", "detail": "low"}


async def test_values_are_hidden_in_texts_and_restored_in_what_tools_are_called_with(
    client: Client, gateway: FakeGateway, world: World
) -> None:
    name = "Иванов Пётр Ильич"
    call = ToolCallPiece(0, "call_a", "find", '{"who":"[PERSON_1]"}')
    gateway.reply = of_today(
        events(delta("Ищу [PERSON_1]."), tool_events(call), ended("Ищу [PERSON_1].", "tool_calls"))
    )
    said = [{"role": "user", "content": f"Найди: {name}"}]
    chunks = chunks_of(await complete(client.http, "once", stream=True, messages=said, tools=[FIND]))
    message = (await completed(client.http, "once", messages=said, tools=[FIND]))["choices"][0]["message"]
    assert message["content"] == "".join(only(chunk).get("content", "") for chunk in chunks) == f"Ищу {name}."
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"who": name}
    told = [piece for chunk in chunks for piece in only(chunk).get("tool_calls", [])]
    assert json.loads("".join(piece["function"]["arguments"] for piece in told)) == {"who": name}
    assert all(name.encode() not in call.body for call in gateway.calls)
    await world.check_books()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("code", "expected", "retries"),
    [
        ("context_length_exceeded", (400, "context_length_exceeded", None), None),
        ("content_filtered", (400, "content_filter", None), None),
        ("upstream_rejected", (400, "message_rejected", None), None),
        ("upstream_unavailable", (503, "gateway_unavailable", None), "true"),
        ("upstream_timeout", (504, "gateway_timeout", None), "true"),
        ("internal_error", (500, "internal_error", None), "false"),
    ],
)
async def test_a_failure_before_the_first_text_is_a_status(
    client: Client,
    gateway: FakeGateway,
    world: World,
    person: Person,
    code: Any,
    expected: Any,
    retries: Any,
    stream: bool,
) -> None:
    gateway.reply = refusing(code)
    response = await complete(client.http, stream=stream)
    assert openai_error_of(response) == expected
    kind = "server_error" if expected[0] >= 500 else "invalid_request_error"
    assert response.json()["error"]["type"] == kind
    assert response.headers.get("x-should-retry") == retries
    assert [hold["state"] for hold in await world.holds(person)] == ["voided"]
    await world.check_books()


async def test_the_option_that_the_model_does_not_take_is_named(client: Client, gateway: FakeGateway) -> None:
    detail = {"type": "invalid_request_error", "code": "upstream_rejected", "message": "No.", "retryable": False}
    refusal = json.dumps({"error": {**detail, "param": "temperature"}}).encode()
    gateway.reply = of_today(sending(whole(400, refusal)))
    refused = await complete(client.http, temperature=0.5)
    assert openai_error_of(refused) == (400, "message_rejected", "temperature")


async def test_a_failure_after_the_first_text_ends_the_stream_without_done(
    database_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = events(delta("Once"), error_event("upstream_truncated"))
    async with (
        served_product(database_url, gateway.url, chat_max_restarts=0) as url,
        client_of(url, person) as client,
    ):
        response = await complete(client.http, stream=True)
    assert response.status_code == 200
    *_, last, rest = response.text.split("\n\n")
    error = json.loads(last.removeprefix("data: "))["error"]
    assert (error["type"], error["code"], error["param"], rest) == ("server_error", "answer_cut", None, "")
    assert "[DONE]" not in response.text
    await world.check_books()


async def test_an_answer_that_breaks_off_unread_is_begun_anew(client: Client, gateway: FakeGateway) -> None:
    async def cut(call: Call) -> None:
        await call.send(EVENTS_HEAD)
        call.hang_up(reset=True)

    gateway.reply = in_turn(cut, events(delta("Good"), final("Good")))
    chunks = chunks_of(await complete(client.http, stream=True))
    assert "".join(only(chunk).get("content", "") for chunk in chunks) == "Good"


async def test_names_of_the_model(database_url: str, gateway: FakeGateway, person: Person) -> None:
    async with (
        served_product(database_url, gateway.url, chat_model_names=" gpt-4o, gpt-5.2 ,,o3") as url,
        client_of(url, person) as client,
    ):
        listed = (await client.http.get("/v1/models")).json()
        assert listed["object"] == "list"
        assert [model["id"] for model in listed["data"]] == ["gpt-5.2", "gpt-4o", "o3"]
        for model in listed["data"]:
            assert (await client.http.get(f"/v1/models/{model['id']}")).json() == model
            assert set(model) == {"id", "object", "created", "owned_by"}
        assert (await completed(client.http, model="gpt-4o"))["model"] == "gpt-5.2"
        assert gateway.calls[-1].request.model == "gpt-5.2"
