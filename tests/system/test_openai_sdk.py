"""OpenAI's own SDK, unchanged, against both real apps and the simulated OpenAI."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from support.processes.commands import addresses_of, clean_environ, started

MODEL: Final = "gpt-5.2"
HELLO: Final[list[Any]] = [{"role": "user", "content": "Hello [[simulate: tokens=20]]"}]
WEATHER: Final[Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


class Step(BaseModel):
    """A structured answer."""

    title: str
    minutes: int


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    home: Path = tmp_path_factory.mktemp("stack")
    with started("up", "--json", "--data-dir", home / "data", environ=clean_environ(home)) as process:
        yield addresses_of(process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def sdk(stack: dict[str, Any]) -> Iterator[OpenAI]:
    with OpenAI(api_key=stack["api_key"], base_url=f"{stack['product_url']}/v1", max_retries=0) as client:
        yield client


def test_the_models(sdk: OpenAI) -> None:
    assert [model.id for model in sdk.models.list()] == [MODEL]
    assert sdk.models.retrieve(MODEL).owned_by == "b2b-chat"
    with pytest.raises(openai.NotFoundError) as refused:
        sdk.models.retrieve("gpt-4o")
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


def test_an_answer_once_for_each_key(sdk: OpenAI) -> None:
    once = {"Idempotency-Key": "create"}
    first = sdk.chat.completions.create(model=MODEL, messages=HELLO, extra_headers=once)
    assert first.choices[0].message.content
    assert first.choices[0].finish_reason == "stop"
    assert first.usage is not None
    assert first.usage.completion_tokens_details is not None
    assert first._request_id
    again = sdk.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO, extra_headers=once)
    assert again.parse() == first
    assert float(again.headers["x-b2b-charge-credits"]) > 0
    with pytest.raises(openai.ConflictError) as refused:
        sdk.with_options(max_retries=2).chat.completions.create(
            model=MODEL, messages=HELLO, max_tokens=9, extra_headers=once
        )
    assert (refused.value.code, refused.value.param) == ("idempotency_conflict", "Idempotency-Key")


def test_a_stream(sdk: OpenAI) -> None:
    options: Any = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(sdk.chat.completions.create(model=MODEL, messages=HELLO, **options))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens > 0) == ([], True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
    with sdk.chat.completions.stream(model=MODEL, messages=HELLO, stream_options={"include_usage": True}) as stream:
        told = "".join(event.delta for event in stream if event.type == "content.delta")
        final = stream.get_final_completion()
    assert final.choices[0].message.content == told
    assert final.usage is not None
    assert len(told) == len(text)


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_and_its_result_read(sdk: OpenAI, stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Perm?"}]
    options: Any = {"model": MODEL, "tools": [WEATHER], "parallel_tool_calls": False}
    if stream:
        with sdk.chat.completions.stream(messages=messages, tool_choice="required", **options) as events:
            [done] = [event for event in events if event.type == "tool_calls.function.arguments.done"]
            answer = events.get_final_completion()
        assert done.name == "weather"
    else:
        answer = sdk.chat.completions.create(messages=messages, tool_choice="required", **options)
    choice = answer.choices[0]
    [call] = choice.message.tool_calls or []
    assert (choice.finish_reason, call.type) == ("tool_calls", "function")
    assert "city" in json.loads(call.function.arguments)
    messages += [choice.message.to_dict(), {"role": "tool", "tool_call_id": call.id, "content": '{"degrees": -5}'}]
    told = sdk.chat.completions.create(messages=messages, **options)
    assert (told.choices[0].finish_reason, bool(told.choices[0].message.content)) == ("stop", True)


def test_a_structured_answer(sdk: OpenAI) -> None:
    answer = sdk.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Step)
    assert isinstance(answer.choices[0].message.parsed, Step)
    with sdk.chat.completions.stream(model=MODEL, messages=HELLO, response_format=Step) as stream:
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Step)


def test_each_error_is_of_its_class(sdk: OpenAI) -> None:
    def ask(client: OpenAI, text: str = "Hello", **options: Any) -> None:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}], **options)

    with pytest.raises(openai.AuthenticationError) as refused:
        ask(sdk.with_options(api_key="b2b_wrong"))
    assert refused.value.code == "invalid_api_key"
    with pytest.raises(openai.BadRequestError) as rejected:
        ask(sdk, n=2)
    assert (rejected.value.param, rejected.value.code) == ("n", "unsupported_parameter")
    with pytest.raises(openai.BadRequestError) as filtered:
        ask(sdk, "Hello [[simulate: error=content_filter]]")
    assert filtered.value.code == "content_filter"
    with pytest.raises(openai.APIStatusError) as failed:
        ask(sdk, "Hello [[simulate: status=500]]")
    assert failed.value.status_code >= 500


def test_a_response_whole_and_streamed(sdk: OpenAI) -> None:
    once = {"Idempotency-Key": "respond"}
    asked: Any = {"model": MODEL, "input": "Hello [[simulate: tokens=20]]", "instructions": "Be short."}
    whole = sdk.responses.create(**asked, extra_headers=once)
    assert (whole.status, bool(whole.output_text), whole.store) == ("completed", True, False)
    assert whole.usage is not None
    with sdk.responses.stream(**asked, extra_headers=once) as stream:
        told = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert (final.id, final.output_text) == (whole.id, told) == (whole.id, whole.output_text)
    kinds = [event.type for event in sdk.responses.create(**asked, stream=True)]
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")


def test_a_structured_response(sdk: OpenAI) -> None:
    answer = sdk.responses.parse(model=MODEL, input="Hello", text_format=Step)
    assert isinstance(answer.output_parsed, Step)


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_calls_a_tool_and_reads_its_result(sdk: OpenAI, stream: bool) -> None:
    tools: Any = [{"type": "function", **WEATHER["function"]}]
    items: list[Any] = [{"role": "user", "content": "What is the weather in Perm?"}]
    asked: Any = {"model": MODEL, "tools": tools, "input": items, "tool_choice": "required"}
    if stream:
        with sdk.responses.stream(**asked) as events:
            list(events)
            answer: Any = events.get_final_response()
    else:
        answer = sdk.responses.create(**asked)
    [call] = answer.output
    assert (call.type, call.name) == ("function_call", "weather")
    assert "city" in json.loads(call.arguments)
    items += [*(item.to_dict() for item in answer.output)]
    items += [{"type": "function_call_output", "call_id": call.call_id, "output": '{"degrees": -5}'}]
    told = sdk.responses.create(model=MODEL, tools=tools, input=items)
    assert told.output_text


def test_a_response_that_needs_state_is_refused(sdk: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.responses.create(model=MODEL, input="Hello", previous_response_id="resp_1")
    assert (refused.value.param, refused.value.code) == ("previous_response_id", "unsupported_parameter")
