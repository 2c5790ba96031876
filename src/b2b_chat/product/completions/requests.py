"""Reads what OpenAI's clients ask for into a call, which says it in the border's own form."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from b2b_chat.contract.content import IMAGE_URL
from b2b_chat.contract.options import ChatOptions
from b2b_chat.contract.schemas import ChatMessage
from b2b_chat.kit.errors import InvalidRequest
from b2b_chat.kit.text import form, in_words
from b2b_chat.product.completions.refusals import RemoteImage, UnsupportedParameter
from b2b_chat.product.completions.schemas import CompletionCreate, CompletionMessage
from b2b_chat.product.masking.call_texts import Call

_NO_EFFECT: Final[Mapping[str, Sequence[Any]]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "modalities": (["text"], []),
    "audio": (),
    "prediction": (),
    "web_search_options": (),
    "functions": ([],),
    "function_call": ("none",),
}
"""Fields that are not supported, and the values with which they ask for nothing."""
_PLAIN_OPTIONS: Final = (
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "reasoning_effort",
    "verbosity",
    "parallel_tool_calls",
)
_PLAIN_ROLES: Final = frozenset({"system", "developer", "user", "assistant"})
_NONE: Final = ChatOptions()
_PLACE: Final = re.compile(r" - at `\$([^`]*)`$")
_FIELD: Final = re.compile(r"(?:missing required|unknown) field `(\w+)`")
_JPG: Final = "data:image/jpg;"
T = TypeVar("T")

form(IMAGE_URL, "a data URL of a PNG, JPEG, WebP or GIF in Base64")


def call_of(request: CompletionCreate) -> Call:
    """Return the call that a request is.

    Raises:
        InvalidRequest: A message, a tool or an option is not one; `param` says which.
        UnsupportedParameter: It asks for what is not to be had here.
        RemoteImage: An image is not in the request itself.
    """
    for field, no_effect in _NO_EFFECT.items():
        value = getattr(request, field)
        if value is not None and value not in no_effect:
            raise UnsupportedParameter(field)
    messages = [_message(message, at) for at, message in enumerate(request.messages)]
    return Call(messages, _options(request), request.max_completion_tokens or request.max_tokens)


def as_border(value: Any, kind: type[T], param: str = "") -> T:
    """Return a value as the border has it.

    Raises:
        InvalidRequest: It cannot be that; the message holds places and types, and no values.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        words = str(error)
        place, field = _PLACE.search(words), _FIELD.search(words)
        inner = place[1] if place else ""
        at = f"{param}{inner}{'.' + field[1] if field else ''}".removeprefix(".")
        said = in_words(words.removesuffix(place[0]) if place else words)
        raise InvalidRequest(f"{at}: {said}." if at else f"{said}.", param=at or None) from None


def _message(message: CompletionMessage, at: int) -> ChatMessage:
    place = f"messages[{at}]"
    if message.audio is not None:
        raise UnsupportedParameter(f"{place}.audio")
    if message.function_call is not None or message.role == "function":
        raise UnsupportedParameter(
            f"{place}.role" if message.role == "function" else f"{place}.function_call",
            "Functions are called by `tools`, `tool_calls` and messages of the role `tool` here.",
        )
    content: Any = message.content
    if (
        content.__class__ is str
        and message.role in _PLAIN_ROLES
        and not message.tool_calls
        and not message.tool_call_id
    ):
        return ChatMessage(message.role, content)  # type: ignore[arg-type]
    if isinstance(content, list):
        content = [_part(part, f"{place}.content[{number}]") for number, part in enumerate(content)]
    elif content is None and message.refusal:
        content = message.refusal
    fields: dict[str, Any] = {"role": message.role, "content": content}
    if message.tool_calls:
        calls = enumerate(message.tool_calls)
        fields["tool_calls"] = [tool_call(call, f"{place}.tool_calls[{number}]") for number, call in calls]
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    return as_border(fields, ChatMessage, place)


def _part(part: Mapping[str, Any], place: str) -> dict[str, Any]:
    match part.get("type"):
        case "text":
            return {"type": "text", "text": part.get("text")}
        case "refusal":
            return {"type": "text", "text": part.get("refusal")}
        case "image_url":
            image = part.get("image_url")
            if not isinstance(image, dict):
                raise InvalidRequest(f"{place}.image_url: Expected `object`.", param=f"{place}.image_url")
            return image_part(image.get("url"), image.get("detail"), f"{place}.image_url.url")
        case _:
            why = f"{place}.type: parts are `text` and `image_url` here."
            raise UnsupportedParameter(f"{place}.type", why)


def image_part(url: Any, detail: Any, place: str) -> dict[str, Any]:
    """Return an image as the border has it.

    Raises:
        RemoteImage: It is not in the request itself.
    """
    if not isinstance(url, str) or not url.startswith("data:"):
        raise RemoteImage(param=place)
    if url.startswith(_JPG):
        url = url.replace("jpg", "jpeg", 1)
    if not re.match(IMAGE_URL, url):
        raise RemoteImage(param=place)
    image = {"url": url} if detail is None else {"url": url, "detail": detail}
    return {"type": "image_url", "image_url": image}


def tool_call(call: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return a call of a function as the border has it.

    Raises:
        UnsupportedParameter: It is a call of something else.
    """
    _require_function(call, place)
    function = call.get("function")
    if isinstance(function, dict):
        function = {"name": function.get("name"), "arguments": function.get("arguments")}
    return {"id": call.get("id"), "function": function}


def _options(request: CompletionCreate) -> ChatOptions:
    values = {name: value for name in _PLAIN_OPTIONS if (value := getattr(request, name)) is not None}
    if request.stop:
        values["stop"] = request.stop
    if request.tools:
        values["tools"] = [tool(each, f"tools[{at}]") for at, each in enumerate(request.tools)]
    if request.tool_choice is not None:
        values["tool_choice"] = tool_choice(request.tool_choice)
    if (wanted := request.response_format) is not None and wanted.get("type") != "text":
        values["response_format"] = _response_format(wanted)
    return as_border(values, ChatOptions) if values else _NONE


def tool(definition: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return the definition of a function as the border has it.

    Raises:
        UnsupportedParameter: It is a tool of OpenAI's own, or a custom one.
    """
    _require_function(definition, place)
    return {"function": _set_fields(definition.get("function"), ("name", "description", "parameters", "strict"))}


def tool_choice(choice: str | Mapping[str, Any]) -> Any:
    """Return which tool is to be called, as the border has it.

    Raises:
        UnsupportedParameter: It is a choice that only OpenAI has.
    """
    if isinstance(choice, str):
        return choice
    _require_function(choice, "tool_choice")
    return {"function": _set_fields(choice.get("function"), ("name",))}


def _response_format(wanted: Mapping[str, Any]) -> dict[str, Any]:
    if wanted.get("type") == "json_object":
        return {"type": "json_object"}
    if wanted.get("type") == "json_schema":
        return {"type": "json_schema", "json_schema": schema_format(wanted.get("json_schema"))}
    why = "response_format.type: `text`, `json_object` and `json_schema` are supported here."
    raise UnsupportedParameter("response_format.type", why)


def schema_format(schema: Any) -> Any:
    """Return the schema of an answer as the border has it."""
    return _set_fields(schema, ("name", "description", "schema", "strict"))


def _require_function(value: Mapping[str, Any], place: str) -> None:
    if value.get("type") != "function":
        raise UnsupportedParameter(f"{place}.type", f"{place}.type: only `function` is supported here.")


def _set_fields(value: Any, fields: Sequence[str]) -> Any:
    """Return an object with those of its fields that the border knows and that are set."""
    if not isinstance(value, dict):
        return value
    return {field: value[field] for field in fields if value.get(field) is not None}
