"""The openai SDK of Python."""

import json
import os

import openai
from cells import MODEL, OBJECT_QUESTION, QUESTION, TOOL_QUESTION, run
from pydantic import BaseModel

client = openai.OpenAI(max_retries=0)
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


class Book(BaseModel):
    author: str
    year: int


def models() -> None:
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).object == "model"


def chat() -> None:
    done = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": QUESTION}])
    assert done.choices[0].message.content
    assert (done.choices[0].finish_reason, done.object) == ("stop", "chat.completion")
    assert done.usage is not None
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens
    assert done._request_id


def stream() -> None:
    chunks = list(
        client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "system", "content": "Be short."}, {"role": "user", "content": QUESTION}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert all(chunk.usage is None for chunk in chunks[:-1])


def tools() -> None:
    messages: list = [{"role": "user", "content": TOOL_QUESTION}]
    offered: list = [{"type": "function", "function": WEATHER}]
    done = client.chat.completions.create(model=MODEL, messages=messages, tools=offered)
    assert done.choices[0].finish_reason == "tool_calls"
    (call,) = done.choices[0].message.tool_calls or []
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments)
    messages += [
        done.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "Snow"},
    ]
    done = client.chat.completions.create(model=MODEL, messages=messages, tools=offered)
    assert done.choices[0].message.content
    with client.chat.completions.stream(model=MODEL, messages=messages[:1], tools=offered) as streamed:
        (call,) = streamed.get_final_completion().choices[0].message.tool_calls or []
    assert "city" in json.loads(call.function.arguments)


def structured() -> None:
    done = client.chat.completions.parse(
        model=MODEL, messages=[{"role": "user", "content": OBJECT_QUESTION}], response_format=Book
    )
    assert isinstance(done.choices[0].message.parsed, Book)


def responses() -> None:
    done = client.responses.create(model=MODEL, input=QUESTION, instructions="Be short.", store=False)
    assert done.status == "completed"
    assert done.output_text
    assert done.usage is not None
    with client.responses.stream(model=MODEL, input=QUESTION) as events:
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert text == events.get_final_response().output_text != ""
    offered: list = [{"type": "function", "strict": True, **WEATHER}]
    done = client.responses.create(model=MODEL, input=TOOL_QUESTION, tools=offered)
    (call,) = [item for item in done.output if item.type == "function_call"]
    assert "city" in json.loads(call.arguments)
    parsed = client.responses.parse(model=MODEL, input=OBJECT_QUESTION, text_format=Book)
    assert isinstance(parsed.output_parsed, Book)


async def asynchronous() -> None:
    async with openai.AsyncOpenAI(max_retries=0) as other:
        chunks = await other.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices])


def errors() -> None:
    question: list = [{"role": "user", "content": QUESTION}]
    try:
        openai.OpenAI(api_key="b2b_wrong", max_retries=0).chat.completions.create(model=MODEL, messages=question)
    except openai.AuthenticationError as error:
        assert error.body
        assert error.code
    else:
        raise AssertionError("a wrong key was accepted")
    try:
        client.chat.completions.create(model="no-such-model", messages=question)
    except openai.NotFoundError as error:
        assert error.code == "model_not_found"
    poor = openai.OpenAI(api_key=os.environ["POOR_API_KEY"])
    try:
        poor.chat.completions.create(model=MODEL, messages=question)
    except openai.APIStatusError as error:
        assert (error.status_code, error.code) == (402, "insufficient_quota")
    else:
        raise AssertionError("an empty account was served")


run(models, chat, stream, tools, structured, responses, asynchronous, errors)
