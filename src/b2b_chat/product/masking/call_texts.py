"""The texts of a call: what is masked in messages, calls of tools, and definitions of tools, and what is not.

Masked: every text of a message, the arguments of calls, the results of tools, and in a definition every string that is
not part of its structure. Never: names of functions and properties, keys, types, patterns. Ids of calls are replaced by
our own, since no id that a client chose crosses the border.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from b2b_chat.contract.content import FunctionCall, ImagePart, TextPart, ToolCall
from b2b_chat.contract.options import ChatOptions, JsonSchemaFormat, Tool
from b2b_chat.contract.schemas import ChatMessage
from b2b_chat.product.masking.refusals import UnmaskableContent

_STRUCTURE: Final = frozenset(
    (
        "$anchor",
        "$dynamicAnchor",
        "$dynamicRef",
        "$id",
        "$ref",
        "$schema",
        "contentEncoding",
        "contentMediaType",
        "dependentRequired",
        "format",
        "pattern",
        "required",
        "type",
    )
)
"""Keywords of a schema whose strings are no texts."""
_NAMED_SCHEMAS: Final = frozenset(("$defs", "definitions", "dependentSchemas", "patternProperties", "properties"))
"""Keywords whose keys are names, and whose values are schemas."""


_MAX_DEPTH: Final = 64
_TOO_DEEP: Final = "A JSON document in a message is nested too deeply to be looked through for personal data."
_ESCAPE: Final = re.compile(r"\\u((?!d[89a-f])(?!00[0-7])[0-9a-f]{4})", re.IGNORECASE)
"""Of a character outside ASCII that is no half of a pair."""


class Text(NamedTuple):
    """A text of a call; `is_json` where it is expected to be JSON, such as arguments and results of tools."""

    text: str
    is_json: bool = False


Each: TypeAlias = Callable[[Text], str]


class Call(NamedTuple):
    """What a client asks for: messages, options, and how long the answer may be."""

    messages: Sequence[ChatMessage]
    options: ChatOptions = ChatOptions()
    max_completion_tokens: int | None = None


def texts_of(call: Call) -> list[Text]:
    """Return every text that is masked, in order."""
    found: list[Text] = []

    def note(text: Text) -> str:
        found.append(text)
        return text.text

    rewritten(call, note)
    return found


def rewritten(call: Call, each: Each) -> Call:
    """Return a call with what `each` makes of its texts, and with call ids of our own."""
    ids: dict[str, str] = {}
    messages = [_message(message, each, ids) for message in call.messages]
    return Call(messages, _options(call.options, each), call.max_completion_tokens)


def _message(message: ChatMessage, each: Each, ids: dict[str, str]) -> ChatMessage:
    is_json = message.role == "tool"
    changes: dict[str, Any] = {}
    if isinstance(message.content, str):
        changes["content"] = each(Text(message.content, is_json))
    elif message.content is not None:
        changes["content"] = [
            part if isinstance(part, ImagePart) else TextPart(each(Text(part.text, is_json)))
            for part in message.content
        ]
    if message.tool_calls is not UNSET:
        changes["tool_calls"] = [
            ToolCall(
                _own_id(call.id, ids),
                FunctionCall(call.function.name, each(Text(call.function.arguments, is_json=True))),
            )
            for call in message.tool_calls
        ]
    if message.tool_call_id is not UNSET:
        changes["tool_call_id"] = _own_id(message.tool_call_id, ids)
    return replace(message, **changes)


def _own_id(id_: str, ids: dict[str, str]) -> str:
    return ids.setdefault(id_, f"call_{len(ids) + 1}")


def _options(options: ChatOptions, each: Each) -> ChatOptions:
    changes: dict[str, Any] = {}
    if isinstance(options.stop, str):
        changes["stop"] = each(Text(options.stop))
    elif options.stop is not UNSET:
        changes["stop"] = [each(Text(text)) for text in options.stop]
    if isinstance(options.response_format, JsonSchemaFormat):
        named = _described(options.response_format.json_schema, "schema", each)
        changes["response_format"] = JsonSchemaFormat(named)
    if options.tools is not UNSET:
        changes["tools"] = [Tool(_described(tool.function, "parameters", each)) for tool in options.tools]
    return replace(options, **changes) if changes else options


def _described(definition: Any, schema_field: str, each: Each) -> Any:
    """Rewrite a definition that has a description and a schema."""
    changes: dict[str, Any] = {}
    if definition.description is not UNSET:
        changes["description"] = each(Text(definition.description))
    schema = getattr(definition, schema_field)
    if schema is not UNSET:
        changes[schema_field] = _schema(schema, each)
    return replace(definition, **changes)


def _schema(schema: Any, each: Each) -> Any:
    if isinstance(schema, str):
        return each(Text(schema))
    if isinstance(schema, list):
        return [_schema(item, each) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _keyword(key, value, each) for key, value in schema.items()}


def _keyword(key: str, value: Any, each: Each) -> Any:
    if key in _STRUCTURE:
        return value
    if key in _NAMED_SCHEMAS and isinstance(value, dict):
        return {name: _schema(schema, each) for name, schema in value.items()}
    return _schema(value, each)


def read_json(text: str) -> Any:
    """Return what a JSON text holds; None where it is no JSON object or list.

    Raises:
        UnmaskableContent: It is nested so deeply that it cannot be looked through.
    """
    if text.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        document = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    except RecursionError:
        raise UnmaskableContent(_TOO_DEEP) from None
    if _is_deeper_than(document, _MAX_DEPTH):
        raise UnmaskableContent(_TOO_DEEP)
    return document


def without_escapes(text: str) -> str:
    r"""Return a text with the characters that `\u0418` and the like stand for, which readers see through."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def _is_deeper_than(value: Any, depth: int) -> bool:
    items = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(items, list):
        return False
    return depth == 0 or any(_is_deeper_than(item, depth - 1) for item in items)


def strings_of(value: Any) -> list[str]:
    """Return the strings in a JSON value, without its keys."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for item in value for text in strings_of(item)] if isinstance(value, list) else []


def with_strings(value: Any, replaced: Callable[[str], str]) -> Any:
    """Return a JSON value with other strings; its keys stay."""
    if isinstance(value, str):
        return replaced(value)
    if isinstance(value, list):
        return [with_strings(item, replaced) for item in value]
    if isinstance(value, dict):
        return {key: with_strings(item, replaced) for key, item in value.items()}
    return value
