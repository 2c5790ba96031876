"""Russian cases, as a model writes them behind a token: `[PERSON_1|дат]`, or an ending that it glued on."""

from collections.abc import Callable
from enum import StrEnum
from typing import Final


class Case(StrEnum):
    """A grammatical case, by pymorphy's name for it."""

    NOMINATIVE = "nomn"
    GENITIVE = "gent"
    DATIVE = "datv"
    ACCUSATIVE = "accs"
    INSTRUMENTAL = "ablt"
    PREPOSITIONAL = "loct"


Inflect = Callable[[str, Case], str]
"""Puts a value into a case, or returns it as it is."""

_HINTS: Final = (
    ("им", Case.NOMINATIVE),
    ("nom", Case.NOMINATIVE),
    ("род", Case.GENITIVE),
    ("gen", Case.GENITIVE),
    ("дат", Case.DATIVE),
    ("dat", Case.DATIVE),
    ("вин", Case.ACCUSATIVE),
    ("acc", Case.ACCUSATIVE),
    ("тв", Case.INSTRUMENTAL),
    ("ins", Case.INSTRUMENTAL),
    ("abl", Case.INSTRUMENTAL),
    ("пр", Case.PREPOSITIONAL),
    ("loc", Case.PREPOSITIONAL),
)
_ENDINGS: Final = {
    "а": Case.GENITIVE,
    "я": Case.GENITIVE,
    "ы": Case.GENITIVE,
    "и": Case.GENITIVE,
    "у": Case.DATIVE,
    "ю": Case.DATIVE,
    "ой": Case.INSTRUMENTAL,
    "ей": Case.INSTRUMENTAL,
    "ом": Case.INSTRUMENTAL,
    "ем": Case.INSTRUMENTAL,
    "ём": Case.INSTRUMENTAL,
    "ым": Case.INSTRUMENTAL,
    "им": Case.INSTRUMENTAL,
    "е": Case.PREPOSITIONAL,
    "ою": Case.INSTRUMENTAL,
    "ею": Case.INSTRUMENTAL,
    "ого": Case.GENITIVE,
    "его": Case.GENITIVE,
    "ому": Case.DATIVE,
    "ему": Case.DATIVE,
}


def hinted(hint: str) -> Case | None:
    """Return the case of a hint, in Russian or Latin letters, shortened or not; None for anything else."""
    return next((case for start, case in _HINTS if hint.startswith(start)), None)


def glued(ending: str) -> Case | None:
    """Return the case of an ending; None when it is none, and so a word of its own."""
    return _ENDINGS.get(ending.lstrip("'’"))
