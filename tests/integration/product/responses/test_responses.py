"""Responses, whole and as typed events: their form, what crosses the border for them, and what they cost."""

import json
from typing import Any, Final

import httpx
import pytest

from b2b_chat.contract.content import ToolCallPiece
from b2b_chat.contract.schemas import FinishReason
from b2b_chat.contract.sse import encode
from support.database.world import Person, World
from support.gateway.fake import ANSWER, FakeGateway, Gate, answering, delta, error_event, events, refusing
from support.processes.waiting import until
from support.product.app import Client, client_of, served_product
from support.product.completions import USAGE, completed, ended, of_today, openai_error_of, tool_events

PATH: Final = "/v1/responses"
FIND: Final = {"type": "function", "name": "find", "parameters": {"type": "object"}, "strict": True}


async def respond(http: httpx.AsyncClient, key: str | None = None, **fields: Any) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await http.post(PATH, json={"model": "gpt-5.2", "input": "Hello", **fields}, headers=headers)


async def streamed(http: httpx.AsyncClient, key: str | None = None, **fields: Any) -> list[dict[str, Any]]:
    """The events of a response; each is named as it says, and they are numbered."""
    response = await respond(http, key, stream=True, **fields)
    assert response.status_code == 200, response.text
    found = []
    for block in response.text.strip().split("\n\n"):
        if not block.startswith(":"):
            name, data = block.split("\n")
            found.append(json.loads(data.removeprefix("data: ")))
            assert name == f"event: {found[-1]['type']}"
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


async def test_a_whole_response(client: Client, gateway: FakeGateway, world: World, person: Person) -> None:
    gateway.reply = answering(usage=USAGE)
    response = await respond(client.http, "same", instructions="Be short.", max_output_tokens=9)
    answer = response.json()
    assert answer["object"] == "response"
    assert (answer["status"], answer["model"], answer["error"], answer["incomplete_details"]) == (
        "completed",
        "gpt-5.2",
        None,
        None,
    )
    [message] = answer["output"]
    assert message == {
        "type": "message",
        "id": answer["id"].replace("resp_", "msg_"),
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": ANSWER, "annotations": [], "logprobs": []}],
    }
    assert answer["usage"] == {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 18,
    }
    assert (answer["store"], answer["instructions"], answer["max_output_tokens"]) == (False, "Be short.", 9)
    assert answer["b2b"]["charge_credits"] == response.headers["x-b2b-charge-credits"]
    crossed = gateway.calls[-1].request
    assert [(said.role, said.content) for said in crossed.messages] == [("system", "Be short."), ("user", "Hello")]
    assert crossed.max_completion_tokens == 9
    assert (await respond(client.http, "same", instructions="Be short.", max_output_tokens=9)).json() == answer
    refused = await respond(client.http, "same")
    assert openai_error_of(refused) == (409, "idempotency_conflict", "Idempotency-Key")
    assert len(gateway.calls) == 1
    assert len(await world.ledger(person)) == 2
    assert (await client.http.get("/v1/conversations")).json()["items"] == []
    await world.check_books()


async def test_the_events_of_a_text(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = answering(usage=USAGE)
    found = await streamed(client.http, "same")
    kinds = [event["type"].removeprefix("response.") for event in found]
    deltas = kinds.count("output_text.delta")
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        *["output_text.delta"] * deltas,
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert "".join(event["delta"] for event in found if event["type"].endswith("text.delta")) == ANSWER
    assert [event["text"] for event in found if event["type"].endswith("text.done")] == [ANSWER]
    assert found[0]["response"]["status"] == "in_progress"
    whole_one = (await respond(client.http, "same")).json()
    assert found[-1]["response"] == whole_one
    places = {
        (event["item_id"], event["output_index"], event["content_index"]) for event in found if "content_index" in event
    }
    assert places == {(whole_one["output"][0]["id"], 0, 0)}


async def test_the_events_of_calls(client: Client, gateway: FakeGateway) -> None:
    pieces = [
        ToolCallPiece(0, "call_a", "find"),
        ToolCallPiece(0, arguments='{"a"'),
        ToolCallPiece(0, arguments=":1}"),
        ToolCallPiece(1, "call_b", "find", "{}"),
    ]
    gateway.reply = of_today(events(delta("So:"), *map(tool_events, pieces), ended("So:", "tool_calls")))
    found = await streamed(client.http, "same", tools=[FIND])
    added = [event for event in found if event["type"] == "response.output_item.added"]
    assert [(event["output_index"], event["item"]["type"]) for event in added] == [
        (0, "message"),
        (1, "function_call"),
        (2, "function_call"),
    ]
    for index, arguments in ((1, '{"a":1}'), (2, "{}")):
        own = [event for event in found if event.get("output_index") == index]
        assert "".join(event["delta"] for event in own if event["type"].endswith("arguments.delta")) == arguments
        assert [event["arguments"] for event in own if event["type"].endswith("arguments.done")] == [arguments]
    whole_one = (await respond(client.http, "same", tools=[FIND])).json()
    assert found[-1]["response"] == whole_one
    _, first, second = whole_one["output"]
    assert (first["call_id"], first["name"], first["arguments"]) == ("call_a", "find", '{"a":1}')
    assert (second["call_id"], second["status"]) == ("call_b", "completed")
    assert len([call for call in gateway.calls if call.body]) == 1


async def test_a_refusal(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = events(encode(b"delta", b'{"text":"No.","refusal":true}'), ended("No.", refusal=True))
    found = await streamed(client.http)
    assert [event["delta"] for event in found if event["type"] == "response.refusal.delta"] == ["No."]
    assert found[-1]["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


@pytest.mark.parametrize(("reason", "why"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
async def test_what_is_cut_is_incomplete(client: Client, gateway: FakeGateway, reason: FinishReason, why: str) -> None:
    gateway.reply = events(delta("Once"), ended("Once", reason))
    found = await streamed(client.http, "same")
    assert found[-1]["type"] == "response.incomplete"
    answer = (await respond(client.http, "same")).json()
    assert found[-1]["response"] == answer
    assert (answer["status"], answer["incomplete_details"]) == ("incomplete", {"reason": why})
    assert answer["output"][0]["status"] == "incomplete"


async def test_all_that_is_asked_crosses_the_border(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = of_today(answering())
    schema = {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True}
    items = [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be short."}]},
        {"role": "user", "content": "Find."},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "So:"}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "find", "arguments": "{}"},
        {"type": "function_call", "call_id": "call_2", "name": "find", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "[1]"},
        {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "[2]"}]},
    ]
    response = await respond(
        client.http,
        input=items,
        text={"format": schema, "verbosity": "low"},
        reasoning={"effort": "high", "summary": "auto"},
        tools=[FIND],
        tool_choice={"type": "function", "name": "find"},
        parallel_tool_calls=True,
        temperature=0.5,
        top_p=1,
    )
    assert response.status_code == 200, response.text
    crossed = json.loads(gateway.calls[-1].body)
    said = crossed["messages"][-5:]
    assert [message["role"] for message in said] == ["developer", "user", "assistant", "tool", "tool"]
    assert [call["id"] for call in said[2]["tool_calls"]] == [message["tool_call_id"] for message in said[3:]]
    assert crossed["response_format"]["json_schema"] == {"name": "a", "schema": {"type": "object"}, "strict": True}
    assert (crossed["verbosity"], crossed["reasoning_effort"], crossed["temperature"]) == ("low", "high", 0.5)
    assert crossed["tools"][0]["function"] == {"name": "find", "parameters": {"type": "object"}, "strict": True}
    assert crossed["tool_choice"] == {"type": "function", "function": {"name": "find"}}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_before_the_first_text_is_a_status(client: Client, gateway: FakeGateway, stream: bool) -> None:
    gateway.reply = refusing("upstream_unavailable")
    assert openai_error_of(await respond(client.http, stream=stream)) == (503, "gateway_unavailable", None)


async def test_a_failure_after_the_first_text_is_an_event(
    database_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = events(delta("Once"), error_event("upstream_truncated"))
    async with (
        served_product(database_url, gateway.url, chat_max_restarts=0) as url,
        client_of(url, person) as client,
    ):
        *_, last = await streamed(client.http)
    assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
    assert last["response"]["error"]["code"] == "answer_cut"
    await world.check_books()


async def test_without_a_key_a_response_ends_with_its_client(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = Gate("Once upon ")
    asked = {"model": "gpt-5.2", "input": "Hello", "stream": True}
    async with client.http.stream("POST", PATH, json=asked) as response:
        async for line in response.aiter_lines():
            if "Once upon" in line:
                break

    async def has_ended() -> bool:
        return bool((await world.answer(person))["error_code"] == "client_disconnected")

    await until(has_ended)
    assert len(await world.ledger(person)) == 2
    await world.check_books()


async def test_a_key_names_one_call_whatever_its_form(client: Client, gateway: FakeGateway) -> None:
    answer = (await respond(client.http, "same")).json()
    again = await completed(client.http, "same")
    assert again["b2b"]["assistant_message_id"] == answer["b2b"]["assistant_message_id"]
    assert len(gateway.calls) == 1
