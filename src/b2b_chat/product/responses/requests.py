"""Reads a request for a response into a call."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from b2b_chat.contract.options import ChatOptions
from b2b_chat.contract.schemas import ChatMessage
from b2b_chat.kit.errors import InvalidRequest
from b2b_chat.product.completions.refusals import UnsupportedParameter
from b2b_chat.product.completions.requests import as_border, image_part, schema_format, tool, tool_choice
from b2b_chat.product.masking.call_texts import Call
from b2b_chat.product.responses.schemas import ResponseCreate

_NO_EFFECT: Final[Mapping[str, Sequence[Any]]] = {
    "previous_response_id": (),
    "conversation": (),
    "background": (False,),
    "prompt": (),
    "context_management": ([],),
    "top_logprobs": (0,),
}
"""Fields that are not supported, and the values with which they ask for nothing."""
_NEEDS_STATE: Final = "`%s` needs what an earlier request left, and nothing is stored here. Send all of the input."
_MAX_ITEMS: Final = 1024
_TEXT_PARTS: Final = frozenset({"input_text", "output_text", "text"})


def call_of(request: ResponseCreate) -> Call:
    """Return the call that a request is.

    Raises:
        InvalidRequest: An item, a tool or an option is not one; `param` says which.
        UnsupportedParameter: It asks for what is not to be had here, or needs state.
        RemoteImage: An image is not in the request itself.
    """
    for field, no_effect in _NO_EFFECT.items():
        value = getattr(request, field)
        if value is not None and value not in no_effect:
            raise UnsupportedParameter(field, None if field == "top_logprobs" else _NEEDS_STATE % field)
    if "message.output_text.logprobs" in (request.include or ()):
        raise UnsupportedParameter("include", "include: log probabilities are not supported here.")
    messages = [ChatMessage("system", request.instructions)] if request.instructions else []
    return Call([*messages, *_messages(request.input)], _options(request), request.max_output_tokens)


def _messages(given: str | list[dict[str, Any]]) -> list[ChatMessage]:
    if isinstance(given, str):
        return [ChatMessage("user", given)]
    if not 0 < len(given) <= _MAX_ITEMS:
        raise InvalidRequest(f"input: 1 to {_MAX_ITEMS} items.", param="input")
    made: list[tuple[str, dict[str, Any]]] = []
    for at, item in enumerate(given):
        place = f"input[{at}]"
        match item.get("type", "message"):
            case "message":
                made.append((place, {"role": item.get("role"), "content": _content(item.get("content"), place)}))
            case "function_call":
                call = {"name": item.get("name"), "arguments": item.get("arguments")}
                # Calls that stand together are of one message, as the model made them.
                if not made or made[-1][1]["role"] != "assistant":
                    made.append((place, {"role": "assistant", "content": None}))
                made[-1][1].setdefault("tool_calls", []).append({"id": item.get("call_id"), "function": call})
            case "function_call_output":
                said = _content(item.get("output"), place, "output")
                made.append((place, {"role": "tool", "tool_call_id": item.get("call_id"), "content": said}))
            case "reasoning":  # the model's own, which it can do without
                pass
            case "item_reference":
                raise UnsupportedParameter(f"{place}.type", _NEEDS_STATE % f"{place}.type")
            case _:
                why = f"{place}.type: `message`, `function_call` and `function_call_output` are supported here."
                raise UnsupportedParameter(f"{place}.type", why)
    return [as_border(fields, ChatMessage, place) for place, fields in made]


def _content(content: Any, place: str, field: str = "content") -> Any:
    if not isinstance(content, list):
        return content
    return [_part(part, f"{place}.{field}[{at}]") for at, part in enumerate(content)]


def _part(part: Any, place: str) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise InvalidRequest(f"{place}: Expected `object`.", param=place)
    kind = part.get("type")
    if kind in _TEXT_PARTS:
        return {"type": "text", "text": part.get("text")}
    if kind == "refusal":
        return {"type": "text", "text": part.get("refusal")}
    if kind == "input_image" and part.get("file_id") is None:
        return image_part(part.get("image_url"), part.get("detail"), f"{place}.image_url")
    raise UnsupportedParameter(f"{place}.type", f"{place}.type: texts and images as data URLs are supported here.")


def _options(request: ResponseCreate) -> ChatOptions:
    text, reasoning = request.text or {}, request.reasoning or {}
    values: dict[str, Any] = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "parallel_tool_calls": request.parallel_tool_calls,
        "reasoning_effort": reasoning.get("effort"),
        "verbosity": text.get("verbosity"),
        "response_format": _response_format(text.get("format")),
        "tools": [_tool(each, f"tools[{at}]") for at, each in enumerate(request.tools or ())] or None,
        "tool_choice": _tool_choice(request.tool_choice),
    }
    return as_border({name: value for name, value in values.items() if value is not None}, ChatOptions)


def _response_format(wanted: Any) -> Any:
    if not isinstance(wanted, dict) or wanted.get("type") in {"text", "json_object"}:
        return None if isinstance(wanted, dict) and wanted.get("type") == "text" else wanted
    if wanted.get("type") == "json_schema":
        return {"type": "json_schema", "json_schema": schema_format(wanted)}
    why = "text.format.type: `text`, `json_object` and `json_schema` are supported here."
    raise UnsupportedParameter("text.format.type", why)


def _tool(definition: dict[str, Any], place: str) -> dict[str, Any]:
    return tool({"type": definition.get("type"), "function": definition}, place)


def _tool_choice(choice: str | dict[str, Any] | None) -> Any:
    if not isinstance(choice, dict):
        return choice
    return tool_choice({"type": choice.get("type"), "function": choice})
