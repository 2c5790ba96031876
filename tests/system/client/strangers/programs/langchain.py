"""LangChain, by langchain-openai."""

from cells import MODEL, OBJECT_QUESTION, QUESTION, TOOL_QUESTION, run
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field

model = ChatOpenAI(model=MODEL, max_retries=0, use_responses_api=False, stream_usage=True)


class Book(BaseModel):
    """A book."""

    author: str = Field(description="Who wrote it")
    year: int


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Snow in {city}"


def chat() -> None:
    answer = model.invoke(QUESTION)
    assert answer.content
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["total_tokens"] > 0
    assert answer.response_metadata["finish_reason"] == "stop"


def stream() -> None:
    whole: AIMessageChunk | None = None
    for chunk in model.stream(QUESTION):
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    assert whole.content
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] > 0


async def asynchronous() -> None:
    assert "".join([str(chunk.content) async for chunk in model.astream(QUESTION)])


def tools() -> None:
    armed = model.bind_tools([get_weather])
    question = HumanMessage(TOOL_QUESTION)
    answer = armed.invoke([question])
    (call,) = answer.tool_calls
    assert call["name"] == "get_weather"
    result = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
    assert armed.invoke([question, answer, result]).content


def structured() -> None:
    assert isinstance(model.with_structured_output(Book).invoke(OBJECT_QUESTION), Book)


def responses() -> None:
    other = ChatOpenAI(model=MODEL, max_retries=0, use_responses_api=True)
    assert other.invoke(QUESTION).text
    assert "".join(chunk.text for chunk in other.stream(QUESTION))
    (call,) = other.bind_tools([get_weather]).invoke(TOOL_QUESTION).tool_calls
    assert call["name"] == "get_weather"
    assert isinstance(other.with_structured_output(Book).invoke(OBJECT_QUESTION), Book)


run(chat, stream, asynchronous, tools, structured, responses)
