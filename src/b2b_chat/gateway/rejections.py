"""Which failure of the vocabulary an error of OpenAI, or of a server that speaks its language, stands for.

Such servers put the name of an error, its number and its words in different places, with any status. Whose fault it is
decides what happens next: a person's is never asked twice, the account's goes to the second upstream, the rest may
pass. Nothing that is read here leaves this process: an error can quote a prompt.
"""

import json
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from msgspec import Struct

from b2b_chat.contract.errors import Code
from b2b_chat.contract.options import OPTION_NAMES
from b2b_chat.gateway.rejection_signs import (
    BY_CLASS,
    BY_NAME,
    BY_STATUS,
    BY_WORDS,
    CLEAR_STATUSES,
    LIMITED_NAMES,
    VAGUE_NAMES,
)

_PARAM: Final = re.compile(
    rf"({'|'.join((*OPTION_NAMES, 'messages', 'model', 'max_completion_tokens'))})([.\[][A-Za-z0-9_.\[\]-]{{0,200}})?"
)
"""A field that we send, and a place in it."""
_OF_LIMIT: Final = re.compile(r"\blimit:? ?(\d+)\b.{0,60}?\brequested:? ?(\d+)\b")

_END_OF_STATUSES: Final = 600
_LONGEST_WORDS_CHARS: Final = 2000
_DEEPEST: Final = 4
_LONGEST_LIST: Final = 4
_NAMES_AT: Final = ("code", "type", "status", "status_code", "error_code", "reason")
_INSIDE_AT: Final = (
    "error",
    "message",
    "msg",
    "detail",
    "innererror",
    "errors",
    "metadata",
    "raw",
    "error_message",
    "error_description",
)
_NOT_NAME: Final = re.compile(r"[^a-z0-9]")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{2,79}")


def has_error(document: Any) -> bool:
    """Return whether a document that came with a good status reports an error all the same.

    A field `error` decides; without one, and without an answer beside it, the shapes of other servers count too:
    `{"detail": …}`, `{"object": "error", …}`, `{"code": 400, "message": …}`.
    """
    if isinstance(document, list):  # as Google writes it
        return any(isinstance(item, dict) and _is_said(item.get("error")) for item in document)
    if not isinstance(document, dict):
        return False
    if _is_said(document.get("error")):
        return True
    if document.get("choices"):
        return False
    if _is_said(document.get("errors")) or _is_said(document.get("detail")):
        return True
    if document.get("object") == "error" or document.get("type") == "error":
        return True
    words = document.get("message") or document.get("msg")
    return bool(words) and _is_failure_code(document.get("code"))


def code_of_error(status: int | None, document: Any) -> Code:
    """Return the vocabulary's code for an error that OpenAI reported.

    Args:
        status: The HTTP status; None where it was a good one, or the error came inside a stream.
        document: The error as it was decoded, or its text.
    """
    found = _Found()
    found.look_into(document, 0)
    code = found.clear_code()
    if code is not None:
        return code
    number = status if status in CLEAR_STATUSES else (found.number or status)
    if number is not None:
        return BY_STATUS.get(number) or BY_CLASS[number // 100]
    return next((VAGUE_NAMES[name] for name in found.names if name in VAGUE_NAMES), "upstream_failed")


def code_of_rejection(status: int | None, body: bytes) -> Code:
    """Return the vocabulary's code for an answer with a bad status, or for the data of an event that reports an error.

    Args:
        status: As `code_of_error` takes it.
        body: JSON, plain words, or a page of a proxy.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        text = body[:_LONGEST_WORDS_CHARS].decode(errors="replace").lstrip()
        document = None if text.startswith("<") else text  # a proxy's page counts by its status alone
    return code_of_error(status, document)


def param_of_rejection(body: bytes) -> str | None:
    """Return the field of the request that OpenAI rejected; None where it names none of ours."""
    try:
        error = msgspec.json.decode(body, type=_Rejection).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    param = error.param
    return param if param is not None and _PARAM.fullmatch(param) else None


class _Param(Struct, frozen=True):
    param: str | None = None


class _Rejection(Struct, frozen=True):
    error: _Param


class _Found:
    """The names, the number and the words that stand anywhere in an error."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.number: int | None = None
        self._words: list[str] = []

    def look_into(self, value: Any, depth: int) -> None:
        """Collect from a value and what is in it."""
        if isinstance(value, str):
            self._words.append(value[:_LONGEST_WORDS_CHARS])
            if _NAME.fullmatch(value):
                self._add_name(value)
        elif depth < _DEEPEST and isinstance(value, dict):
            for key in _NAMES_AT:
                self._add_name(value.get(key))
            for key in _INSIDE_AT:
                self.look_into(value.get(key), depth + 1)
        elif depth < _DEEPEST and isinstance(value, list):
            for item in value[:_LONGEST_LIST]:
                self.look_into(item, depth + 1)
        else:
            self._add_name(value)

    def clear_code(self) -> Code | None:
        """Return the code that names or words make clear; None where only a number is left to go by."""
        for name in self.names:
            if name in BY_NAME:
                return BY_NAME[name]
        words = " ".join(self._words).lower()
        if any(int(requested) > int(limit) for limit, requested in _OF_LIMIT.findall(words)):
            return "context_length_exceeded"  # more than a minute's limit at once: it never passes
        for code, pattern in BY_WORDS:
            if pattern.search(words):
                return code
        return "upstream_rate_limited" if LIMITED_NAMES.intersection(self.names) else None

    def _add_name(self, value: Any) -> None:
        number = _status_of(value)
        if number is not None:
            self.number = self.number or number
        elif isinstance(value, str):
            self.names.append(_NOT_NAME.sub("", value.lower()))


def _status_of(value: Any) -> int | None:
    """Return a number that is a status of failure, whether written as a number or as text."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value[:4])
    if isinstance(value, (int, float)) and HTTPStatus.BAD_REQUEST <= value < _END_OF_STATUSES:
        return int(value)
    return None


def _is_failure_code(code: Any) -> bool:
    return _status_of(code) is not None or (isinstance(code, str) and not code.isdecimal() and bool(code))


def _is_said(error: Any) -> bool:
    """Return whether a field for an error holds one: servers also send `{}`, and objects of nothing but null."""
    values: Iterable[Any] = error.values() if isinstance(error, dict) else [error]
    return any(values)
