"""Request bodies that no operation accepts, each refused by its own code.

Refusal
├── NulCharacter     422  a text with a NUL, which PostgreSQL cannot store
├── InvalidUnicode   422  half a surrogate pair, or bytes that are not UTF-8
└── TooDeeplyNested  422  lists in lists in lists
"""

import json
import re
from codecs import BOM_UTF8
from typing import Any, Final

from b2b_chat.kit.errors import InvalidRequest
from b2b_chat.kit.strict_json import StrictJsonRequest
from b2b_chat.product.refusals import Refusal

MAX_DEPTH: Final = 32
"""Nesting of lists and objects; valid bodies need only a few levels."""
_MAX_EXPLAINED_BYTES: Final = 16_384
"""Errors in larger bodies are not located: that would read them a second time, some 20 times slower."""
_NUL: Final = b"\\u0000"
# An escape begins at a backslash that is not itself escaped.
_ESCAPED_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class NulCharacter(Refusal):
    """A NUL character, which cannot be stored."""

    code, status = "nul_character", 422
    message = "The request holds a NUL character."


class InvalidUnicode(Refusal):
    """Half a surrogate pair, or bytes that are not UTF-8."""

    code, status = "invalid_unicode", 422
    message = "The text is not Unicode: it holds half a surrogate pair, or bytes that are not UTF-8."


class TooDeeplyNested(Refusal):
    """Too many lists or objects in each other."""

    code, status = "too_deeply_nested", 422
    message = f"Lists and objects may be nested {MAX_DEPTH} deep at most."


class JsonRequest(StrictJsonRequest):
    """A request whose JSON body is decoded strictly, and diagnosed where that fails."""

    async def json(self) -> Any:
        """The body, decoded.

        Raises:
            UnsupportedMediaType: The content type is not JSON.
            NulCharacter, InvalidUnicode, TooDeeplyNested: It holds what no operation accepts.
            InvalidRequest: It is not JSON, or not what this operation takes.
        """
        body = await self.body()
        # A NUL within a JSON text can only be written as an escape.
        if _NUL in body and _ESCAPED_NUL.search(body):
            raise NulCharacter
        try:
            return await super().json()
        except InvalidRequest as refusal:
            raise _closer(body) or refusal from None


def _closer(body: bytes) -> Refusal | None:
    """Return what is wrong with an undecodable body, if it is wrong for every operation."""
    if len(body) > _MAX_EXPLAINED_BYTES:
        return None
    try:
        value = json.loads(body.removeprefix(BOM_UTF8))  # takes half a pair, unlike msgspec
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        return InvalidUnicode()
    except RecursionError:
        return TooDeeplyNested()
    except ValueError:
        return None
    return TooDeeplyNested() if _is_deeper_than(value, MAX_DEPTH) else None


def _is_deeper_than(value: Any, depth: int) -> bool:
    layer = [value]
    for _ in range(depth):
        layer = [
            inner
            for outer in layer
            if isinstance(outer, list | dict)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(inner, list | dict) for inner in layer)
