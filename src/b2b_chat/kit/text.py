r"""The forms of short texts: a pattern for programs, and words for people, who read no regular expressions.

Patterns end with `\Z`, since Python's `$` lets a line break through. Other languages take that for a letter, so that
the OpenAPI documents have `$`, which means the same there.
"""

import re
from typing import Final

from litestar.params import QueryParameter

_IN_MESSAGES: Final = re.compile(r"`str` matching regex (?P<quote>['\"]).*?(?P=quote)(?= - at|$)", re.MULTILINE)
_words: dict[str, str] = {}
_patterns: set[str] = set()


def form(pattern: str, words: str) -> str:
    """Return a pattern, after noting how messages describe it."""
    _words[f"`str` matching regex {pattern!r}"] = words
    _patterns.add(pattern)
    return pattern


def known_patterns() -> frozenset[str]:
    """Return all patterns that messages describe."""
    return frozenset(_patterns)


def in_words(message: str) -> str:
    """Return a message of msgspec's with its patterns described."""
    if "matching regex" not in message:
        return message
    return _IN_MESSAGES.sub(lambda found: _words.get(found[0], "a text of another form"), message)


def portable(pattern: str) -> str:
    """Return a pattern as programs in other languages read it."""
    return pattern.replace(r"\Z", "$")


LINE: Final = form(r"^[^\x00-\x1f\x7f]*\Z", "one line of text without control characters")
"""A line of text, as a search for one."""
PRINTABLE_ASCII: Final = form(r"^[!-~]*\Z", "printable ASCII without spaces")
"""A name that programs give."""


def text_parameter(pattern: str, *, description: str = "", min_length: int = 1, max_length: int) -> QueryParameter:
    """Return a query parameter with a text of this form."""
    return QueryParameter(
        pattern=pattern,
        min_length=min_length,
        max_length=max_length,
        description=description or None,
        schema_extra={"pattern": portable(pattern)},
    )
