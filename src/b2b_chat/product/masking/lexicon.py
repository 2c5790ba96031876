"""The words that name rules look up: given names in every case and script, places, roles, and words that are no names.

ё and е are one letter here.
"""

from collections.abc import Iterator
from typing import Final

from b2b_chat.product.masking.word_files import word_list

GIVEN: Final = 1
"""A given name."""
DOUBTFUL: Final = 2
"""Also an ordinary word or a place: alone it is a name only beside a title, a role or a verb of speech."""
NEVER: Final = 4
"""No part of a name."""
ROLE: Final = 8
"""What somebody is: no part of a name, and a hint that one follows."""
CALL: Final = 16
"""A verb of speech and the like: no part of a name, and a hint that one is near."""
PATRONYMIC: Final = 32
FULL: Final = 64
"""A given name of the long, official form; short ones need more to be taken for names in lower case."""

DOUBTFUL_LOW: Final = 128
"""A form that is doubtful where it begins a sentence or is in lower case, and a name elsewhere."""

PLACE: Final = 2048
"""A place: part of a name only beside a given name, a patronymic or two initials."""

_CONSONANTS: Final = "бвгджзйклмнпрстфхцчшщ"


def _lines(name: str) -> list[str]:
    return [word.replace("ё", "е") for word in word_list(name)]


def declined(name: str) -> Iterator[str]:
    """Yield a given name in every case, both ways where two are usual."""
    yield name
    stem, last = name[:-1], name[-1]
    if name in _MOVING:
        stem, last = _MOVING[name]
    ends: tuple[str, ...] = ()
    if last == "а":
        ends = (*_AFTER_HUSHING, "е", "у") if stem[-1] in "гкхжчшщц" else ("ы", "е", "у", "ой", "ою")
    elif last == "я":
        ends = ("и", "е", "ю", "ей", "ею")
    elif last in "йь":
        ends = ("я", "ю", "ем", "е", "и", "ью")
    elif last in _CONSONANTS:
        stem, ends = stem + last, ("а", "у", "ом", "ем", "е")
    for end in ends:
        yield stem + end


_AFTER_HUSHING: Final = ("и", "ы", "ой", "ою", "ей", "ею")
_MOVING: Final = {
    "павел": ("пав", "л"),
    "лев": ("льв", ""),
    "петр": ("пет", "р"),
    "любовь": ("любов", "ь"),
    "витек": ("вить", "к"),
    "санек": ("сань", "к"),
    "ванек": ("вань", "к"),
    "васек": ("вась", "к"),
    "игорек": ("игорь", "к"),
    "димок": ("дим", "к"),
    "толян": ("толя", "н"),
}
"""Names whose stem changes, as the stem and the letter that decides the endings."""


def vocative(name: str) -> str | None:
    """The form in which friends are called: Саш, Лен, Маш, Тань; None where there is none."""
    if len(name) < 4 or name[-1] not in "ая" or name[-2] not in _CONSONANTS:  # noqa: PLR2004 - Ада, Ева
        return None
    return name[:-1] + ("ь" if name[-1] == "я" else "")


_LETTERS: Final = {
    "а": "a",
    "б": "b",
    "в": "v",
    "г": "g",
    "д": "d",
    "е": "e",
    "ё": "yo",
    "ж": "zh",
    "з": "z",
    "и": "i",
    "й": "y",
    "к": "k",
    "л": "l",
    "м": "m",
    "н": "n",
    "о": "o",
    "п": "p",
    "р": "r",
    "с": "s",
    "т": "t",
    "у": "u",
    "ф": "f",
    "х": "kh",
    "ц": "ts",
    "ч": "ch",
    "ш": "sh",
    "щ": "shch",
    "ъ": "",
    "ы": "y",
    "ь": "",
    "э": "e",
    "ю": "yu",
    "я": "ya",
}
_VARIANTS: Final = (
    ("yu", "iu"),
    ("yu", "ju"),
    ("ya", "ia"),
    ("ya", "ja"),
    ("kh", "h"),
    ("y", "i"),
    ("y", "j"),
    ("iy", "y"),
    ("ey", "ei"),
    ("ks", "x"),
    ("zh", "j"),
    ("iya", "ia"),
    ("yeva", "eva"),
    ("e", "ye"),
    ("ts", "c"),
    ("ey", "ej"),
    ("iy", "ii"),
    ("lya", "lia"),
)


def romanised(name: str) -> Iterator[str]:
    """Yield a name in Latin letters, in the usual systems: Yuriy, Yuri, Iurii; Aleksey, Alexey."""
    plain = "".join(_LETTERS.get(letter, letter) for letter in name)
    yield plain
    if "ё" in name:
        yield from romanised(name.replace("ё", "е"))
    for old, new in _VARIANTS:
        if old in plain and not (old == "e" and not plain.startswith("e")):
            changed = plain.replace(old, new, 1) if old == "e" else plain.replace(old, new)
            yield changed
            if old == "ks":
                yield changed.replace("ey", "ei")
                yield changed.replace("iya", "ia")


def _names() -> Iterator[tuple[str, int]]:
    for source in ("male.txt", "female.txt", "short.txt"):
        for entry in word_list(source):
            written = entry.rstrip("?")
            name = written.replace("ё", "е")
            flags = GIVEN | (DOUBTFUL if entry.endswith("?") else 0) | (0 if source == "short.txt" else FULL)
            for form in declined(name):
                yield form, flags
            if source != "short.txt":
                for form in romanised(written):
                    if len(form) > 2:  # noqa: PLR2004 - Ия, Ян: every second English word
                        yield form, flags
    for entry in _lines("latin.txt"):
        yield entry.rstrip("?"), GIVEN | FULL | (DOUBTFUL if entry.endswith("?") else 0)


def _build() -> dict[str, int]:
    table: dict[str, int] = {}
    for form, flags in _names():
        old = table.get(form)
        # A form of two names is doubtful only when it is so as both.
        both = flags if old is None else old | flags
        table[form] = both if old is None or old & flags & DOUBTFUL else both & ~DOUBTFUL
    for source, flag in (("doubtful.txt", DOUBTFUL), ("doubtful_low.txt", DOUBTFUL_LOW)):
        for form in filter(table.__contains__, _lines(source)):
            table[form] |= flag
    for form, flag in _others():
        if not table.get(form, 0) & GIVEN:
            table[form] = table.get(form, 0) | flag
    for word in _lines("never.txt"):
        table[word] = table.get(word, 0) & ~GIVEN | NEVER
    return table


def _others() -> Iterator[tuple[str, int]]:
    """Yield the forms of words that are no given names."""
    for flag, source, endings in (
        (PLACE, "places.txt", ("", *_lines("place_endings.txt"))),
        (ROLE, "roles.txt", ("", *_lines("role_endings.txt"))),
        (CALL, "calls.txt", ("",)),
    ):
        for stem in _lines(source):
            for ending in endings:
                yield stem + ending, flag


def _vocatives() -> frozenset[str]:
    return frozenset(
        form for name in _lines("short.txt") if (form := vocative(name.rstrip("?").replace("ё", "е"))) is not None
    )


LEXICON: Final = _build()
VOCATIVES: Final = _vocatives()
