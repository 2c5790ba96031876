"""Finds the surnames of people who were named in full earlier, in any case, wherever they stand later."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.lexicon import CALL, DOUBTFUL, GIVEN, LEXICON, NEVER, ROLE
from b2b_chat.product.masking.spans import Span
from b2b_chat.product.masking.surnames import patronymic, surely_surname
from b2b_chat.product.masking.text import lowered
from b2b_chat.product.masking.word_list import TITLE, WordList

RANK: Final = 20
_WORDS: Final = re.compile(r"[a-zà-ÿа-я]+(?:[-'’][a-zà-ÿа-я]+)*")
_POSSESSIVE: Final = ("а", "у", "ым", "ом", "е", "ой", "ою", "ых", "ыми", "ы", "")
_ADJECTIVAL: Final = (
    "ий",
    "ого",
    "ому",
    "им",
    "ом",
    "ая",
    "ой",
    "ую",
    "ою",
    "ие",
    "их",
    "ими",
    "ый",
    "ым",
    "ых",
    "ыми",
    "ые",
    "ей",
    "его",
    "ему",
    "ем",
    "яя",
    "юю",
)
_HARD: Final = ("", "а", "у", "ом", "ем", "е", "ы", "и", "ов", "ей", "ам", "ами", "ах")
_SOFT: Final = ("й", "ь", "я", "ю", "ем", "ём", "е", "и", "ев", "ей", "ям", "ями", "ях", "ью")
_OPEN: Final = ("а", "ы", "и", "е", "у", "ой", "ою", "ей", "ею", "я", "ю", "ам", "ами", "ах")
_OF_FAMILY: Final = re.compile(
    r"(.{2,}(?:[ое]в|[иы]н))(?:а|у|ым|ом|е|ой|ою|ых|ыми|ы)?\Z|(.{2,}[сц]к)(?:ий|ого|ому|им|ом|ая|ой|ую|ою|ие"
    r"|их|ими)\Z"
)
"""Surnames that are adjectives by origin: their endings are theirs alone."""
_ENDED: Final = re.compile(
    r"(.{2,}?[^аеиоуыэюяьй]?)(?:[ыи]ми|ого|ому|ая|ую|ою|ею|[оыие]й|[ыио]м|ем|[ыи]х|ью|[аеиоуыюяьй])\Z"
)
_FLEETING: Final = ("ец", "ек", "ок")
"""Endings whose vowel is lost in the other cases: Кравец, Кравца."""
_NOBODY: Final = Span(1 << 62, 1 << 62, Kind.PERSON)
_SHORTEST: Final = 2


def stem(word: str) -> str:
    """Return the part of a surname that no case changes."""
    match = _OF_FAMILY.match(word)
    if match is not None:
        return match.group(1) or match.group(2)
    if word.endswith(_FLEETING):
        return word[:-2] + word[-1]
    match = _ENDED.match(word)
    return match.group(1) if match is not None else word


_ENDINGS: Final = frozenset((*_POSSESSIVE, *_ADJECTIVAL, *_HARD, *_SOFT, *_OPEN))
_LONGEST_ENDING: Final = max(map(len, _ENDINGS))


class KnownPeople:
    """The surnames that a conversation has named."""

    def __init__(self) -> None:
        self._stems: dict[str, bool] = {}
        self._exact: set[str] = set()
        self._beginnings: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._stems)

    def learn(self, values: Iterable[str]) -> None:
        """Add the people of these values, given as they were written."""
        for value in values:
            words = _WORDS.findall(lowered(value))
            # Ким Алексей: of two given names the doubtful one is the surname.
            given = sum(bool(LEXICON.get(word, 0) & GIVEN) for word in words)
            for word in words:
                surname = given > 1 and bool(LEXICON.get(word, 0) & DOUBTFUL)
                if len(word) > _SHORTEST - 1 and (surname or not self._common(word, alone=len(words) == 1)):
                    self._exact.add(word)
                    for part in (word, *word.split("-")) if "-" in word else (word,):
                        self._add(part)

    @staticmethod
    def _common(word: str, *, alone: bool) -> bool:
        return bool(
            patronymic(word)
            or LEXICON.get(word, 0) & (NEVER | ROLE | CALL | GIVEN)
            or (alone and not surely_surname(word))
        )

    def _add(self, word: str) -> None:
        root = word if word.isascii() else stem(word)
        if len(root) > _SHORTEST - 1:
            self._beginnings.add(root[:_SHORTEST])
            self._stems[root] = len(root) > _SHORTEST and surely_surname(word)

    def mentions(self, words: WordList, people: Sequence[Span] = ()) -> Iterator[Span | None]:
        """Yield every lone mention of a known surname outside `people`, which are in order, and None now and then."""
        if not self._stems:
            return
        ends = iter(people)
        person = next(ends, _NOBODY)
        for index, word in enumerate(words.words):
            flags = words.flags[index]
            if not index & 255:
                yield None
            while person.end <= words.starts[index]:
                person = next(ends, _NOBODY)
            if person.start <= words.starts[index]:
                continue
            if word[:_SHORTEST] not in self._beginnings or flags & (NEVER | ROLE | CALL | TITLE):
                continue
            if flags & GIVEN and not flags & DOUBTFUL:
                continue
            sure = self._known(word)
            if sure is None or not words.whole(index):
                continue
            if words.capital(index) or (sure and not word.isascii()):
                yield Span(words.starts[index], words.ends[index], Kind.NAME, RANK)

    def _known(self, word: str) -> bool | None:
        """Whether a word is sure to be a known surname even in lower case; None when it is none."""
        if word in self._exact:
            return self._stems.get(stem(word), False)
        if word.isascii():
            return self._stems.get(word)
        if word.endswith(_FLEETING) and (root := stem(word)) in self._stems:
            return self._stems[root]
        for length in range(min(_LONGEST_ENDING, len(word) - _SHORTEST) + 1):
            cut = len(word) - length
            sure = self._stems.get(word[:cut])
            if sure is not None and word[cut:] in _ENDINGS:
                return sure
        if "-" in word:
            return self._known(word.rpartition("-")[2]) if len(word.rpartition("-")[2]) > 3 else None  # noqa: PLR2004
        return None
