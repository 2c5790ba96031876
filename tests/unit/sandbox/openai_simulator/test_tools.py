"""The simulated model's calls of tools, structured answers, and what it refuses of them."""

import json
from typing import Any

import pytest

from b2b_chat.sandbox.openai_simulator.answers import Answer, compose
from b2b_chat.sandbox.openai_simulator.api_errors import Refused
from b2b_chat.sandbox.openai_simulator.chat_request import parse
from b2b_chat.sandbox.openai_simulator.directives import read, understand
from b2b_chat.sandbox.openai_simulator.examples import example

TOOLS = [
    {"type": "function", "function": {"name": "first"}},
    {
        "type": "function",
        "function": {"name": "second", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}},
    },
]
CALL = {"id": "x", "type": "function", "function": {"name": "first", "arguments": "{}"}}
RESULT = [
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "x", "content": "42"},
]


def answer(directives: str = "", *messages: Any, **options: Any) -> Answer:
    """What is answered to a body."""
    body = {"model": "gpt-5.2", "messages": [{"role": "user", "content": "Hi"}, *messages], **options}
    wish = understand(read(directives))
    return compose(parse(json.dumps(body).encode()), "Hi", wish, seed=0, answer_tokens=4)


@pytest.mark.parametrize(
    ("directives", "options", "names"),
    [
        ("tool", {}, []),
        ("", {"tools": TOOLS}, []),
        ("tool", {"tools": TOOLS}, ["first"]),
        ("tool=second", {"tools": TOOLS}, ["second"]),
        ("tool=third", {"tools": TOOLS}, []),
        ("tool=second; calls=2", {"tools": TOOLS}, ["second", "second"]),
        ("tool", {"tools": TOOLS, "tool_choice": "none"}, []),
        ("", {"tools": TOOLS, "tool_choice": "required"}, ["first"]),
        ("", {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "second"}}}, ["second"]),
    ],
)
def test_a_tool_is_called_where_it_is_asked_for(directives: str, options: dict[str, Any], names: list[str]) -> None:
    made = answer(directives, **options)
    assert [call.name for call in made.calls] == names
    assert len({call.id for call in made.calls}) == len(names)
    assert bool(made.tokens) != bool(names)


def test_the_result_of_a_tool_is_answered_in_words() -> None:
    assert answer("tool", *RESULT, tools=TOOLS).calls == []


def test_arguments_are_those_wished_or_of_the_schema() -> None:
    assert "".join(answer("tool=second", tools=TOOLS).calls[0].arguments) == '{"a": 1}'
    wished = answer("tool; arguments=%7B%22a%22:%5B%5D%7D", tools=TOOLS)
    assert "".join(wished.calls[0].arguments) == '{"a":[]}'


def test_a_stop_text_ends_the_answer() -> None:
    assert "".join(answer("text=one%20two%20three", stop=[" three", " two"]).tokens) == "one"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object", "properties": {"a": {"enum": ["x", "y"]}, "b": {"const": 5}}}, {"a": "x", "b": 5}),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [True, True]),
        ({"type": ["string", "null"], "maxLength": 3}, "sim"),
        ({"type": "number", "minimum": 7, "maximum": 9}, 7),
        ({"type": "integer", "maximum": 0}, 0),
        ({"type": "integer", "exclusiveMinimum": 4}, 5),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "boolean"}}}, True),
        ({}, "simulated"),
        (True, {}),
    ],
)
def test_the_simplest_value_keeps_to_its_schema(schema: Any, value: Any) -> None:
    assert example(schema) == value


def test_a_schema_that_contains_itself_has_a_value() -> None:
    node = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}
    assert json.dumps(example(node)).endswith("null" + "}" * json.dumps(example(node)).count("}"))


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"temperature": 0.5, "reasoning_effort": "low"}, "temperature"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        ({"messages": RESULT[1:]}, "messages.[0].role"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}],
                    }
                ]
            },
            "messages.[0].content",
        ),
    ],
)
def test_what_openai_refuses_is_refused_by_name(change: dict[str, Any], param: str) -> None:
    body = {"model": "gpt-5.2", "messages": [{"role": "user", "content": "Hi"}], **change}
    with pytest.raises(Refused) as refused:
        parse(json.dumps(body).encode())
    assert refused.value.error.param == param
