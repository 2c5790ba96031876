"""OpenAI's answers as they are decoded: a whole one, or a chunk of a stream.

What OpenAI itself writes is decoded by msgspec, which is fast and strict. Everything else goes through a second reader:
the text is read strictly there too, since a wrong text must not pass for an answer, but nothing beside it may cost the
text. Usage, ids, empty choices and unknown fields may be null, missing or of any type.
"""

import json
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Struct

from b2b_chat.contract.schemas import Usage
from b2b_chat.gateway.errors import UpstreamFailure
from b2b_chat.gateway.rejections import code_of_error, has_error
from b2b_chat.gateway.tool_calls import FunctionChunk, ToolChunk


class _PromptDetails(Struct, frozen=True, gc=False):
    cached_tokens: int | None = None


class _CompletionDetails(Struct, frozen=True, gc=False):
    reasoning_tokens: int | None = None


class Tokens(Struct, frozen=True, gc=False):
    """Usage as it was sent, to be judged when the text is known."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class Words(Struct, frozen=True, gc=False):
    """A message, or a piece of one. The model refuses in words of its own, which are its answer."""

    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolChunk] | None = None


class Choice(Struct, frozen=True, gc=False):
    """An answer, or a piece of one."""

    message: Words = Words()
    delta: Words = Words()
    finish_reason: str | None = None
    error: None = None


class Completion(Struct, frozen=True, gc=False):
    """A whole answer or a chunk of one. One choice is asked for, so there is at most one.

    An `error` that is not null fails to decode here, and is found by the second reader.
    """

    choices: list[Choice]
    usage: Tokens | None = None
    error: None = None


_NOTHING: Final = Completion([])
_UNREADABLE: Final = Tokens(0, 0, 0)
"""Stands for usage that cannot be read. Like any usage of zeros it is not trusted."""
_MOST_TOKENS: Final = 1_000_000_000
_TEXT_PARTS: Final = {"text", "output_text", None}
_ASIDE_PARTS: Final = {"thinking", "reasoning", "reasoning_text", "reasoning_content", "reference", "citation"}
_decoder = msgspec.json.Decoder(Completion)

decode_lines: Callable[[bytes], list[Completion]] = _decoder.decode_lines
"""Decode JSON of a line each, strictly.

Raises:
    msgspec.MsgspecError, UnicodeDecodeError, RecursionError: It is not what OpenAI itself would write.
"""


def decode(data: bytes) -> tuple[Completion, bool]:
    """Decode one JSON document, by the second reader where the first cannot.

    Returns:
        The completion, which is empty for a document that holds no piece of an answer; and whether its texts may hold
        halves of surrogate pairs.

    Raises:
        UpstreamFailure: The document reports an error or cannot be understood.
    """
    try:
        return _decoder.decode(data), False
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _read_document(data), True


def join_halves(text: str) -> str:
    """Join the halves of surrogate pairs; a half on its own becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def trusted_usage(tokens: Tokens | None) -> Usage | None:
    """Return the usage of an answer that has a text; None where its figures are missing or cannot be right."""
    if tokens is None:
        return None
    prompt, completion = tokens.prompt_tokens, tokens.completion_tokens
    if not (0 < prompt <= _MOST_TOKENS and 0 < completion <= _MOST_TOKENS):
        return None
    total = tokens.total_tokens
    cached = (tokens.prompt_tokens_details or _PromptDetails()).cached_tokens
    reasoning = (tokens.completion_tokens_details or _CompletionDetails()).reasoning_tokens
    return Usage(
        prompt,
        completion,
        total if prompt + completion <= total <= _MOST_TOKENS else prompt + completion,
        cached_tokens=cached if cached is not None and 0 <= cached <= prompt else None,
        reasoning_tokens=reasoning if reasoning is not None and 0 <= reasoning <= completion else None,
    )


def _read_document(data: bytes) -> Completion:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise _malformed() from None
    if has_error(document):
        raise UpstreamFailure(code_of_error(None, document))
    if not isinstance(document, dict):
        raise _malformed()
    choices = document.get("choices")
    if choices is not None and not isinstance(choices, list):
        raise _malformed()
    usage = _read_tokens(document.get("usage"))
    if not choices and usage is None:
        return _NOTHING
    return Completion([_read_choice(choice) for choice in choices or () if choice is not None], usage)


def _read_choice(choice: Any) -> Choice:
    if not isinstance(choice, dict):
        raise _malformed()
    if has_error(choice):
        raise UpstreamFailure(code_of_error(None, choice))
    reason = choice.get("finish_reason")
    return Choice(
        message=_read_words(choice.get("message")),
        delta=_read_words(choice.get("delta")),
        # Some servers send "" for none. Of another type it is a reason, and not one that we know.
        finish_reason=None if reason is None else str(reason),
    )


def _read_words(words: Any) -> Words:
    if words is None:
        return Words()
    if not isinstance(words, dict):
        raise _malformed()
    return Words(
        _read_text(words.get("content")), _read_text(words.get("refusal")), _read_calls(words.get("tool_calls"))
    )


def _read_calls(calls: Any) -> list[ToolChunk] | None:
    if calls is None:
        return None
    if not isinstance(calls, list):
        raise _malformed()
    return [_read_call(call) for call in calls if call is not None]


def _read_call(call: Any) -> ToolChunk:
    """Return a call. Its arguments are read strictly, as a text is; an index or id of another type is none."""
    function = call.get("function") if isinstance(call, dict) else None
    if function is not None and not isinstance(function, dict):
        raise _malformed()
    name, arguments = (None, None) if function is None else (function.get("name"), function.get("arguments"))
    if isinstance(arguments, dict):  # some servers do not write JSON within JSON
        arguments = msgspec.json.encode(arguments).decode()
    if not isinstance(call, dict) or not isinstance(name, str | None) or not isinstance(arguments, str | None):
        raise _malformed()
    index, id_ = call.get("index"), call.get("id")
    return ToolChunk(
        index if isinstance(index, int) and not isinstance(index, bool) else None,
        id_ if isinstance(id_, str) else None,
        FunctionChunk(name, None if arguments is None else join_halves(arguments)),
    )


def _read_text(content: Any) -> str | None:
    """Return a text, whether sent as one or as a list of parts."""
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_read_part(part) for part in content if part is not None)
    raise _malformed()


def _read_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise _malformed()
    kind = part.get("type")
    if kind in _ASIDE_PARTS:
        return ""
    text = part.get("refusal") if kind == "refusal" else part.get("text")
    if not isinstance(text, str) or kind not in _TEXT_PARTS | {"refusal"}:
        raise _malformed()
    return text


def _read_tokens(usage: Any) -> Tokens | None:
    if usage is None:
        return None
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if prompt is None or completion is None:
        return _UNREADABLE
    return Tokens(
        prompt,
        completion,
        _count(usage, "total_tokens") or 0,
        _PromptDetails(_count(usage, "prompt_tokens_details", "cached_tokens")),
        _CompletionDetails(_count(usage, "completion_tokens_details", "reasoning_tokens")),
    )


def _count(value: Any, *path: str) -> int | None:
    """Return a number of tokens, which may have been written as 7.0; None for anything else."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if 0 <= value <= _MOST_TOKENS and value == int(value) else None


def _malformed() -> UpstreamFailure:
    return UpstreamFailure("upstream_malformed")
