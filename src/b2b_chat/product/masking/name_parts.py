"""The parts of a name that stand beside a given name, a patronymic or initials."""

from typing import Final

from b2b_chat.product.masking.lexicon import CALL, DOUBTFUL, GIVEN, NEVER, PLACE, ROLE
from b2b_chat.product.masking.surnames import surely_surname, surname_like
from b2b_chat.product.masking.word_list import INITIAL, PREPOSITION, TITLE, WordList

Found = tuple[int, int]
"""The first and the last word of a name."""

VERBAL: Final = (
    *(
        "ет",
        "ит",
        "ут",
        "ют",
        "ат",
        "ят",
        "ть",
        "тся",
        "ла",
        "ли",
        "ло",
        "йте",
        "ите",
        "ешь",
        "ишь",
        "ем",
        "им",
        "ось",
        "ась",
        "лся",
        "но",
    ),
    *(
        "ого",
        "ому",
        "ные",
        "ный",
        "ная",
        "ное",
        "ую",
        "ого",
        "ам",
        "ям",
        "ами",
        "ями",
        "ах",
        "ях",
        "ость",
        "ости",
        "ние",
        "ния",
        "нию",
        "тие",
    ),
)
"""Endings of verbs and adjectives, which no surname beside a name has."""
_LIKE_A_PATRONYMIC: Final = (
    *("ныч", "нычу", "ныча", "нычем"),
    *("лыч", "лычу", "лыча", "лычем"),
    *("вна", "вны", "вне", "вну", "вной"),
    *("чна", "чны", "чне", "чну"),
)
"""Endings by which a word with a capital is a patronymic though no given name stands before it."""
_SPACES: Final = frozenset((" ", "  ", "   "))
_SHORTEST: Final = 2
_LONG: Final = 6
_SHORT: Final = 6


def surname_left(words: WordList, index: int, *, lower: bool) -> bool:
    """Whether the word at `index`, right before a name, is its surname."""
    if not words.joined(index) or words.flags[index] & (NEVER | ROLE | CALL | TITLE | PREPOSITION):
        return False
    word = words.words[index]
    if words.has(index, PLACE) and not surname_like(word):
        return False
    if words.capital(index):
        return not words.begins_sentence(index) or surname_like(word) or not word.endswith(VERBAL)
    return (
        lower and len(word) > _SHORTEST and (surname_like(word) or not word.endswith(VERBAL)) and not words.flags[index]
    )


def surname_right(words: WordList, index: int, *, lower: bool) -> bool:
    """Whether the word at `index`, right after a name, is its surname."""
    if index >= len(words.words) or not words.joined(index - 1):
        return False
    place = surname_like(words.words[index]) and not words.has(index - 1, DOUBTFUL)
    if words.proper(index, place=place) and not words.flags[index] & PREPOSITION:
        return True
    return lower and not words.flags[index] and not words.capital(index) and surname_like(words.words[index])


def by_patronymic(words: WordList, index: int) -> Found | None:
    """Return the name that a patronymic belongs to; None for one in lower case without a given name."""
    lower = not words.capital(index)
    first = last = index
    before = index - 1
    if before >= 0 and words.joined(before) and (words.has(before, GIVEN) or (not lower and words.proper(before))):
        first = before
        if surname_left(words, before - 1, lower=lower):
            first = before - 1
        elif surname_right(words, index + 1, lower=lower):
            last = index + 1
        return first, last
    if lower:
        return None
    word = words.words[index]
    if index and words.has(index - 1, ROLE | CALL | TITLE | PREPOSITION) and words.joined(index - 1):
        return first, last
    return (first, last) if word.endswith(_LIKE_A_PATRONYMIC) and len(word) > _LONG else None


def by_initials(words: WordList, index: int) -> Found | None:
    """Return the name that one or two initials belong to."""
    last = index
    if words.has(index + 1, INITIAL) and words.gap(index) in (".", ". "):
        last = index + 1
    two = last > index
    left, right = index - 1, last + 1
    if left >= 0 and words.gap(left) in _SPACES and words.proper(left, place=two) and not words.has(left, INITIAL):
        word = words.words[left]
        if (
            right < len(words.words)
            and abbreviation(words, left)
            and words.gap(last) in (".", ". ")
            and words.proper(right)
        ):
            return index, right
        if two or surname_like(word) or not words.begins_sentence(left):
            first = (
                left - 1
                if left and words.joined(left - 1) and words.proper(left - 1) and surname_like(words.words[left - 1])
                else left
            )
            return first, last
    if right < len(words.words) and words.gap(last) in (".", ". ", ".  ") and words.proper(right, place=two):
        word = words.words[right]
        if two or surely_surname(word):
            return index, right
    return None


def abbreviation(words: WordList, index: int) -> bool:
    """Whether a word is in capitals and short: ТСЖ, НИИ."""
    raw = words.text.raw[words.starts[index] : words.ends[index]]
    return raw.isupper() and len(raw) < _SHORT
