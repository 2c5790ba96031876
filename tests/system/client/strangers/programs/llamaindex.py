"""LlamaIndex, by llama-index-llms-openai-like."""

import os

from cells import MODEL, OBJECT_QUESTION, QUESTION, TOOL_QUESTION, run
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

llm = OpenAILike(
    model=MODEL,
    api_base=os.environ["OPENAI_BASE_URL"],
    api_key=os.environ["OPENAI_API_KEY"],
    is_chat_model=True,
    is_function_calling_model=True,
    should_use_structured_outputs=True,
    max_retries=0,
)


class Book(BaseModel):
    """A book."""

    author: str
    year: int


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Snow in {city}"


def chat() -> None:
    assert llm.chat([ChatMessage(role="user", content=QUESTION)]).message.content
    assert str(llm.complete(QUESTION))


def stream() -> None:
    assert "".join(piece.delta or "" for piece in llm.stream_chat([ChatMessage(role="user", content=QUESTION)]))


async def asynchronous() -> None:
    pieces = await llm.astream_chat([ChatMessage(role="user", content=QUESTION)])
    assert "".join([piece.delta or "" async for piece in pieces])


def tools() -> None:
    answer = llm.chat_with_tools([FunctionTool.from_defaults(get_weather)], user_msg=TOOL_QUESTION)
    (call,) = llm.get_tool_calls_from_response(answer)
    assert call.tool_name == "get_weather"
    assert "city" in call.tool_kwargs


def structured() -> None:
    done = llm.as_structured_llm(Book).chat([ChatMessage(role="user", content=OBJECT_QUESTION)])
    assert isinstance(done.raw, Book)


run(chat, stream, asynchronous, tools, structured)
