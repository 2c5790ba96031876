"""A text cut into words, with what the lexicon knows of each: what the name rules walk over."""

import re
from collections.abc import Iterator
from typing import Final

from b2b_chat.product.masking.lexicon import CALL, GIVEN, LEXICON, NEVER, PATRONYMIC, PLACE, ROLE
from b2b_chat.product.masking.surnames import FAMILY_TAILS, PATRONYMIC_TAILS, patronymic
from b2b_chat.product.masking.text import Text

INITIAL: Final = 256
PREPOSITION: Final = 512
TITLE: Final = 1024
CUE: Final = 4096
"""A word after which a surname is a person rather than a place or a title: «вместо Жукова»."""

_WORD: Final = re.compile(r"[a-zà-ÿāăćčďđęěłńňōřśšťůźžа-яіїєґў]+(?:[-'’][a-zà-ÿāăćčďđęěłńňōřśšťůźžа-яіїєґў]+)*")
_PREPOSITIONS: Final = dict.fromkeys(("у", "от", "к", "ко", "для", "про", "с", "со", "за", "насчет"), PREPOSITION)
_TITLES: Final = dict.fromkeys(
    (
        *(
            "г-н",
            "г-на",
            "г-ну",
            "г-ном",
            "г-не",
            "г-жа",
            "г-жи",
            "г-же",
            "г-жу",
            "г-жой",
            "господин",
            "господина",
            "господину",
        ),
        *(
            "господином",
            "господине",
            "госпожа",
            "госпожи",
            "госпоже",
            "госпожу",
            "госпожой",
            "мистер",
            "мистера",
            "миссис",
            "фрау",
        ),
        *(
            "гр-н",
            "гр-на",
            "гр-ну",
            "гр-ка",
            "гр-ки",
            "гр-ке",
            "гр-ку",
            "mr",
            "mrs",
            "ms",
            "mister",
            "monsieur",
            "madame",
            "herr",
            "frau",
            "señor",
        ),
        *(
            "уважаемый",
            "уважаемая",
            "уважаемому",
            "уважаемой",
            "уважаемого",
            "дорогой",
            "дорогая",
            "проф",
            "д-р",
            "prof",
            "dr",
            "многоуважаемый",
            "многоуважаемая",
            "dear",
        ),
    ),
    TITLE,
)
_CUES: Final = dict.fromkeys(
    ("вместо", "что", "если", "когда", "пока", "чтобы", "кроме", "хотя", "именно", "него", "нее"), CUE
)
_TABLE: Final = {
    word: LEXICON.get(word, 0) | _PREPOSITIONS.get(word, 0) | _TITLES.get(word, 0) | _CUES.get(word, 0)
    for word in (*LEXICON, *_PREPOSITIONS, *_TITLES, *_CUES)
}
_TRIGGERS: Final = GIVEN | PATRONYMIC | ROLE | CALL | PREPOSITION | TITLE | INITIAL | CUE
_JOINTS: Final = frozenset((" ", "  ", "   ", "\t", " \t"))
_SENTENCE_ENDS: Final = re.compile(r"[.!?…:;\n*|#>]")


class WordList:
    """The words of a text. Words are named by their index; an index outside the text is no word and joins nothing."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.words: list[str] = []
        self.flags: list[int] = []
        self.triggers: list[int] = []

    def read(self) -> Iterator[None]:
        """Cut the text; yields now and then, so that the event loop may have a turn."""
        raw = self.text.raw
        starts, ends, words, flags = self.starts, self.ends, self.words, self.flags
        for index, match in enumerate(_WORD.finditer(self.text.low)):
            word = match.group()
            start, end = match.span()
            flag = _TABLE.get(word)
            if flag is None:
                flag = 0
                if word[-3:] in PATRONYMIC_TAILS and patronymic(word):
                    flag = PATRONYMIC
                elif "-" in word and all(_TABLE.get(part, 0) & GIVEN for part in word.split("-")):
                    flag = GIVEN
            if (
                end - start == 1
                and (raw[end : end + 1] == "." or (flags and flags[-1] & INITIAL and raw[start - 1] == "."))
                and raw[start].isupper()
                and not raw[start - 1 : start].isdigit()
            ):
                flag = flag & ~PREPOSITION | INITIAL
            starts.append(start)
            ends.append(end)
            words.append(word)
            flags.append(flag)
            if flag & _TRIGGERS or (not flag and word[-2:] in FAMILY_TAILS and raw[start].isupper()):
                self.triggers.append(index)
            if not index & 1023:
                yield

    def has(self, index: int, flag: int) -> bool:
        """Whether a word has one of the flags."""
        return 0 <= index < len(self.flags) and bool(self.flags[index] & flag)

    def gap(self, index: int) -> str:
        """Return what stands between a word and the next."""
        return self.text.low[self.ends[index] : self.starts[index + 1]]

    def joined(self, index: int) -> bool:
        """Whether nothing but a space stands between a word and the next."""
        return 0 <= index < len(self.words) - 1 and self.gap(index) in _JOINTS

    def capital(self, index: int) -> bool:
        """Whether a word begins with a capital and is no part of an identifier."""
        return self.text.raw[self.starts[index]].isupper() and self.whole(index)

    def whole(self, index: int) -> bool:
        """Whether a word is not cut out of something longer, as in `ivan_petrov`, `user1` or an address."""
        start, end, raw = self.starts[index], self.ends[index], self.text.raw
        before = raw[start - 1] if start else " "
        after = raw[end] if end < len(raw) else " "
        return not (
            before.isalnum()
            or before in "_@/\\$"
            or after.isdigit()
            or after in "_@\\$"
            or (after == "(" and before == ".")
        )

    def proper(self, index: int, *, place: bool = False) -> bool:
        """Whether a word may be a part of a name: capitalised, and not known as anything else, or only as a place."""
        return (
            0 <= index < len(self.words)
            and not self.flags[index] & (NEVER | ROLE | CALL | TITLE | (0 if place else PLACE))
            and self.ends[index] - self.starts[index] > 1
            and self.capital(index)
        )

    def begins_sentence(self, index: int) -> bool:
        """Whether a word would be capitalised in any case."""
        if index == 0:
            return True
        return _SENTENCE_ENDS.search(self.gap(index - 1)) is not None
