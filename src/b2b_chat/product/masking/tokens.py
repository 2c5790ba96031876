r"""What stands in place of a value: `[PERSON_1]`, and everything that a model makes of it.

The forms that are read as a token: any case, a space, `-` or `\\_` for `_`, one bracket of another kind, both brackets
escaped, a case hint, a glued Russian ending, and bare `PERSON_1` with borders on both sides.
"""

import re
from functools import lru_cache
from typing import Final

from b2b_chat.product.masking.kinds import GROUPS, Group, Kind

LONGEST: Final = 48
"""No token is longer, whatever a model adds to it."""

_FIRST: Final = re.escape("[({<\\") + "".join(sorted({kind[0] for kind in Kind}))
_KIND: Final = "|".join(sorted(Kind, key=len, reverse=True))
_NUMBER: Final = "[1-9][0-9]{0,5}"
_HINT: Final = r" ?\| ?[^\W\d_]{1,12}\.?"
_GLUED: Final = r"['’]?[а-яё]{1,3}(?!\w)"
_BODY: Final = rf" ?(?i:{_KIND})\\?[_ -]{_NUMBER}(?:{_HINT})? ?"
_BRACKETED_TOKEN: Final = (
    rf"(?:(?P<open>\\?\[)(?P<body>{_BODY})(?P<close>\\?[\])"
    rf"}}>])|(?P<other>\\?[({{<])(?P<body2>{_BODY})(?P<square>\\?\]))(?P<glued>{_GLUED})?"
)
_BARE_TOKEN: Final = rf"(?P<bare>(?:{_KIND})\\?_{_NUMBER})(?!\w)"
TOKEN: Final = re.compile(rf"(?=[{_FIRST}])(?:{_BRACKETED_TOKEN}|(?<!\w){_BARE_TOKEN})")
BRACKETED_TOKEN: Final = re.compile(_BRACKETED_TOKEN)
BARE_TOKEN: Final = re.compile(rf"\b{_BARE_TOKEN}")
_READ: Final = re.compile(rf" ?(?P<kind>(?i:{_KIND}))\\?[_ -](?P<number>{_NUMBER})(?: ?\| ?(?P<hint>[^\W\d_]+))?")
PEOPLE: Final = frozenset((*GROUPS[Group.PEOPLE][:2], Kind.COMPANY, Kind.TERM))
"""The kinds that are declined."""


def token(kind: Kind, number: int) -> str:
    """Return the token of a value."""
    return f"[{kind}_{number}]"


@lru_cache(maxsize=4096)
def read(body: str) -> tuple[Kind, int, str]:
    """Return kind, number and case hint of what stands between the brackets of a token."""
    match = _READ.match(body)
    if match is None:
        raise ValueError
    return Kind(match["kind"].upper()), int(match["number"]), (match["hint"] or "").lower()


def _beginnings(parts: tuple[tuple[str, str], ...], end: str) -> str:
    r"""Return a pattern of every beginning of a row of parts that reaches the end of the text.

    A part is its pattern and that of its own beginnings. After the last part, `end` may stand.
    """
    pattern = end
    for whole, beginning in reversed(parts):
        pattern = rf"(?:{beginning}\Z|{whole}{pattern})"
    return pattern


_CUT_KINDS: Final = "|".join(
    sorted({kind[:length] for kind in Kind for length in range(1, len(kind) + 1)}, key=len, reverse=True)
)
_HINT_BEGINNING: Final = r"(?: ?(?:\| ?[^\W\d_]{0,12}\.?)?)"
_INSIDE: Final = (
    (" ?", ""),
    (f"(?i:{_KIND})", f"(?i:{_CUT_KINDS})?"),
    (r"\\?[_ -]", r"\\?"),
    (_NUMBER, ""),
    (f"(?:{_HINT})?", _HINT_BEGINNING),
)
_AFTER: Final = r"['’]?[а-яё]{0,3}\Z"
_BRACKETED: Final = _beginnings(((r"\\?\[", r"\\"), *_INSIDE, (r" ?\\?[\])}>]", r" ?\\?")), _AFTER)
_OTHER: Final = _beginnings(((r"\\?[({<]", r"\\"), *_INSIDE, (r" ?\\?\]", r" ?\\?")), _AFTER)
_BARE: Final = _beginnings(((f"(?:{_KIND})", f"(?:{_CUT_KINDS})"), (r"\\?_", r"\\?"), (_NUMBER, "")), r"\Z")
UNFINISHED: Final = re.compile(rf"(?=[{_FIRST}])(?:{_BRACKETED}|{_OTHER}|(?<!\w){_BARE})")
"""A tail that may still become a token, or a longer one."""

POSSIBLE: Final = re.compile(f"[{_FIRST}]")
"""The characters that a token can begin with."""
