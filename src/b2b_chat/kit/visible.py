"""Visible characters: a text of invisible ones alone counts as empty.

The page's scripts have the same rule in `web/assets/visible.js`; a test compares them.
"""

import re
from typing import Final

from b2b_chat.kit.text import form

# Controls, formats and separators (Cc, Cf, Z*), what Unicode does not show (fillers, joiners, selectors, and the code
# points reserved for more of them), and the space of Braille. Written out, so that no version of Python changes it.
_INVISIBLE: Final = (
    r"\x00-\x20\x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u1680\u17b4\u17b5"
    r"\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
_INVISIBLE_ABOVE: Final = (
    r"\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff"
)
_BLANK: Final = re.compile(f"[{_INVISIBLE}{_INVISIBLE_ABOVE}]*")

VISIBLE: Final = form(f"[^{_INVISIBLE}]", "a text with a visible character")
"""A visible character, for patterns that programs in other languages read too: they know no ranges above U+FFFF."""
VISIBLE_LINE: Final = form(
    rf"^[^\x00-\x1f\x7f]*{VISIBLE}[^\x00-\x1f\x7f]*\Z", "one line of text with a visible character"
)
"""The pattern of a line with a visible character."""


def is_blank(text: str) -> bool:
    """Return whether a text has no visible character."""
    return _BLANK.fullmatch(text) is not None


def require_visible(name: str, text: str) -> None:
    """Check a field of a body.

    Raises:
        ValueError: It has no visible character.
    """
    if is_blank(text):
        raise ValueError(f"`{name}` needs at least one visible character")


def from_first_visible(text: str) -> str:
    """Return a text without its leading invisible characters."""
    blank = _BLANK.match(text)
    return text if blank is None else text[blank.end() :]
