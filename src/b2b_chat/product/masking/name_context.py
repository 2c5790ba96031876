"""Names that what stands before or after them makes names: titles, roles, verbs of speech."""

from typing import Final

from b2b_chat.product.masking.lexicon import CALL, GIVEN, PATRONYMIC, ROLE
from b2b_chat.product.masking.name_parts import VERBAL, Found, by_initials
from b2b_chat.product.masking.surnames import family_name, surely_surname
from b2b_chat.product.masking.word_list import INITIAL, TITLE, WordList

_MOST_TITLES: Final = 4
_BY_SURNAME: Final = (
    *("доктор", "профессор", "нотариус", "адвокат", "судь", "следовател"),
    *("майор", "лейтенант", "сержант"),
)
"""Roles whose holders are called by their surname, whatever it looks like: «доктор Чередник»."""
_OF_PLACES: Final = ("ого", "его", "ой", "ей", "их", "ых")
_ADVERBS: Final = frozenset(
    "опять снова уже всегда тоже также сегодня вчера завтра сейчас еще не никогда сам сама лично уж вдруг потом".split()  # noqa: SIM905 - reads best as a line
)

_NO_GIVEN: Final = (
    *VERBAL,
    *(
        "ьте",
        "йте",
        "ите",
        "ий",
        "ый",
        "ой",
        "ая",
        "яя",
        "ое",
        "ее",
        "ые",
        "ие",
        "их",
        "ых",
        "его",
        "ему",
        "юю",
        "ым",
        "ыми",
        "ими",
    ),
    *("ция", "ции", "цию", "ство", "ства", "тура", "туры", "изм", "изма", "тель", "теля", "тели", "ник", "ника", "ики"),
)
"""Endings of adjectives and common nouns, which few given names have."""


def by_title(words: WordList, index: int) -> Found | None:
    """«г-н Мюллер», «Уважаемая Нгуен Тхи», Dear Mr. Johnson: what is capitalised after a title."""
    at = index + 1
    while at < index + _MOST_TITLES and words.has(at, TITLE) and words.gap(at - 1) in (" ", ". ", "  "):
        at += 1
    if at >= len(words.words) or words.gap(at - 1) not in (" ", ". ", "  "):
        return None
    if words.has(at, INITIAL):
        return by_initials(words, at)
    if words.has(at, PATRONYMIC) and words.capital(at):
        return at, at
    if not words.proper(at):
        return None
    last = at
    while last < at + 2 and words.joined(last) and (words.proper(last + 1) or words.has(last + 1, INITIAL)):
        last += 1
    if words.has(last, INITIAL) and words.has(last + 1, INITIAL) and words.gap(last) in (".", ". "):
        last += 1
    return at, last


def by_context(words: WordList, index: int) -> Found | None:
    """A surname alone: after a role, a verb of speech or «у, от, к», or before such a verb."""
    flags = words.flags[index]
    after = index + 1
    if after < len(words.words) and words.joined(index) and words.proper(after) and not words.flags[after]:
        word = words.words[after]
        if flags & ROLE and words.words[index].startswith(_BY_SURNAME) and not word.endswith(_OF_PLACES):
            return after, after + (words.joined(after) and words.proper(after + 1))
        certain = surely_surname(word) and not word.isascii()
        if certain and not (words.words[index] in ("с", "со") and not word.endswith(("ым", "ой", "им", "ом"))):
            if words.has(after + 1, PATRONYMIC | INITIAL | GIVEN) and words.joined(after):
                return None  # the next word finds all of the name
            more = words.joined(after) and words.proper(after + 1) and flags & (ROLE | CALL)
            return after, after + 1 if more else after
        if flags & CALL and words.joined(after) and words.proper(after + 1) and not words.flags[after + 1]:
            return after, after + 1
    before = index - 1
    if before > 0 and words.words[before] in _ADVERBS and words.joined(before):
        before -= 1
    if flags & CALL and before >= 0 and words.joined(before) and words.proper(before) and not words.flags[before]:
        word = words.words[before]
        if surely_surname(word):
            return before, before
    return None


def by_family_name(words: WordList, index: int) -> Found | None:
    """A given name that no list has, beside what is surely a surname: «Шынгыс Тлеубеков», «Лыкова Феврония»."""
    raw = words.text.raw
    if not family_name(words.words[index]) or not words.proper(index) or raw[words.starts[index] + 1].isupper():
        return None
    if words.joined(index) and words.has(index + 1, GIVEN | PATRONYMIC | INITIAL):
        return None  # the next word finds all of the name
    for other in (index - 1, index + 1):
        if (
            words.proper(other)
            and words.joined(min(index, other))
            and not words.flags[other]
            and not words.words[other].endswith(_NO_GIVEN)
            and words.words[other].isascii() == words.words[index].isascii()
        ):
            return min(index, other), max(index, other)
    return None
