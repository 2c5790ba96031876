import json
from typing import Any

import pytest

from b2b_chat.sandbox.openai_simulator.api_errors import Refused
from b2b_chat.sandbox.openai_simulator.chat_request import parse

USER = {"role": "user", "content": "Hi"}


def body(**changes: Any) -> bytes:
    return json.dumps({"model": "gpt-5.2", "messages": [USER], **changes}).encode()


def test_a_full_request_is_understood() -> None:
    request = parse(
        body(
            messages=[{"role": "system", "content": [{"type": "text", "text": "Be kind"}]}, USER],
            stream=True,
            stream_options={"include_usage": True},
            max_completion_tokens=5,
            metadata={"a": "b"},
            reasoning_effort="low",
            temperature=1,
            user="u",
        )
    )

    assert request.last_user_text == "Hi"
    assert request.messages[0].text == "Be kind"


def test_the_last_user_text_is_empty_where_no_user_spoke() -> None:
    assert parse(body(messages=[{"role": "system", "content": "Be kind"}])).last_user_text == ""


@pytest.mark.parametrize(
    ("changes", "code", "param", "told"),
    [
        ({"messages": []}, "empty_array", "messages", "Expected an array with minimum length 1"),
        ({"messages": "Hi"}, "invalid_type", "messages", "expected an array, but got a string instead"),
        ({"messages": [7]}, "invalid_type", "messages[0]", "expected an object, but got an integer instead"),
        ({"messages": [{"content": ""}]}, "missing_required_parameter", "messages[0].role", "'messages[0].role'"),
        ({"messages": [{"role": "bot"}]}, "invalid_value", "messages[0].role", "Invalid value: 'bot'. Supported"),
        ({"messages": [USER, {"role": "user", "content": 5}]}, "invalid_type", "messages[1].content", "a string"),
        ({"max_completion_tokens": 0}, "integer_below_min_value", "max_completion_tokens", ">= 1"),
        ({"max_completion_tokens": "9"}, "invalid_type", "max_completion_tokens", "an integer, but got a string"),
        ({"temperature": 3}, "integer_above_max_value", "temperature", "<= 2"),
        ({"max_tokens": 5}, "unsupported_parameter", "max_tokens", "Use 'max_completion_tokens' instead"),
        ({"colour": "red"}, "unknown_parameter", "colour", "Unknown parameter: 'colour'."),
        ({"stream_options": {}}, None, "stream_options", "only allowed when 'stream' is enabled"),
        ({"stream": 1}, "invalid_type", "stream", "expected a boolean, but got an integer"),
        ({"metadata": {str(n): "" for n in range(17)}}, None, None, "length <= 16"),
        ({"model": None}, None, None, "you must provide a model parameter"),
    ],
)
def test_a_wrong_request_is_refused_in_openais_words(
    changes: dict[str, Any], code: str | None, param: str | None, told: str
) -> None:
    with pytest.raises(Refused) as refused:
        parse(body(**changes))

    error = refused.value.error
    assert (error.status, error.type, error.code, error.param) == (400, "invalid_request_error", code, param)
    assert told in error.message


def test_missing_messages_are_named() -> None:
    with pytest.raises(Refused, match=r"Missing required parameter: 'messages'\."):
        parse(b'{"model":"gpt-5.2"}')


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b'{"model":"\xff"}'])
def test_invalid_json_is_refused(text: bytes) -> None:
    with pytest.raises(Refused, match="could not parse the JSON body"):
        parse(text)


def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(Refused, match="The model `gpt-9` does not exist") as refused:
        parse(body(model="gpt-9"))

    assert (refused.value.error.status, refused.value.error.code) == (404, "model_not_found")
