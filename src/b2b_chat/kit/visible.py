"""What people see of a text: characters that show nothing, alone, are no text.

The page's scripts have the same rule in `web/assets/visible.js`; a test compares them.
"""

import re
import unicodedata
from typing import Final

_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
_FURTHER_INVISIBLE: Final = re.compile(
    # Fillers, joiners and selectors, which Unicode calls letters and marks but lets nobody show; the space of Braille;
    # a note that is none; and what Unicode has set aside for more of the same.
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    # Marks that order hieroglyphs, which this Python may not know yet.
    "\U00013430-\U0001343f\U0001d159\U000e0000-\U000e0fff]"
)


def is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen."""
    return all(map(_is_invisible, text))


def require_visible(name: str, text: str) -> None:
    """Check a field of a body.

    Raises:
        ValueError: Nothing of it can be seen.
    """
    if is_blank(text):
        raise ValueError(f"`{name}` needs at least one visible character")


def from_first_visible(text: str) -> str:
    """A text without the invisible characters that it begins with."""
    for position, character in enumerate(text):
        if not _is_invisible(character):
            return text[position:]
    return ""


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in _INVISIBLE_CATEGORIES or bool(_FURTHER_INVISIBLE.match(character))
