"""E-mail addresses, written with `@` or around it.

Expanded from the sign in the middle, with bounds to both sides: a pattern that begins with a run of letters would take
quadratic time on a long run without a sign.
"""

import re
from collections.abc import Iterator
from typing import Final

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.spans import Span
from b2b_chat.product.masking.text import Gate, Text

RANK: Final = 62
_LONGEST_LOCAL: Final = 64
_LONGEST_LOGIN: Final = 200
_LOCAL: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._%+-абвгдежзийклмнопрстуфхцчшщъыьэюя'=&/")
_DOMAIN: Final = re.compile(
    r"(?:[a-zа-я0-9](?:[a-zа-я0-9-]{0,61}[a-zа-я0-9])?\.){1,8}(?:[a-z]{2,24}|рф|рус|бел|xn--[a-z0-9-]{2,30}"
    r"|москва|онлайн|сайт|орг)(?![a-zа-я0-9_-])"
)
_SPOKEN: Final = re.compile(r" @ | ?(?:[(\[{<] ?(?:at|собака|собачка|эт|dog|гав) ?[)\]}>]| (?:собака|собачка)) ?")
SPOKEN_GATE: Final = Gate(
    " @ ", "(at)", "[at]", "{at}", "<at>", "( at )", "[ at ]", "собака", "собачка", "(dog)", "[dog]", "(эт)"
)
_DOTTED: Final = re.compile(r"[a-z0-9-]{1,63}(?: ?(?:\.|[(\[{](?:dot|точка)[)\]}]|точка) ?[a-zа-я0-9-]{1,63}){1,4}")
_LOCALHOST: Final = re.compile(r"[a-z][a-z0-9-]{1,30}(?:\.local|\.internal|\.lan)(?!\w)")


def emails(text: Text) -> Iterator[Span | None]:
    """Yield the addresses of a text, and None for each sign that is in none."""
    low = text.low
    at = low.find("@")
    while at >= 0:
        domain = _DOMAIN.match(low, at + 1) or _LOCALHOST.match(low, at + 1)
        if domain is not None:
            start = _local_start(low, at)
            if start < at and not _is_login(low, start):
                yield Span(start, domain.end(), Kind.EMAIL, RANK)
        yield None
        at = low.find("@", at + 1)
    if SPOKEN_GATE.opens(text):
        for sign in _SPOKEN.finditer(low):
            yield None
            domain = (_DOMAIN if sign.group() == " @ " else _DOTTED).match(low, sign.end())
            start = _local_start(low, sign.start())
            if domain is not None and start < sign.start() and low[start].isascii():
                yield Span(start, domain.end(), Kind.EMAIL, RANK)


def _is_login(low: str, start: int) -> bool:
    """Whether what stands before the sign is the login or the password of a URL: `postgresql://app:word@host`."""
    scheme = low.rfind("://", max(start - _LONGEST_LOGIN, 0), start)
    return scheme >= 0 and not any(mark in low[scheme + 3 : start] for mark in " /\n")


def _local_start(low: str, at: int) -> int:
    """Return where the part before the sign begins; `at` where there is none."""
    start = at
    floor = max(at - _LONGEST_LOCAL, 0)
    while start > floor and low[start - 1] in _LOCAL:
        start -= 1
    while start < at and low[start] in ".'/=&%":
        start += 1
    slash = low.rfind("/", start, at)
    equals = low.rfind("=", start, at)
    return max(start, slash + 1, equals + 1)
