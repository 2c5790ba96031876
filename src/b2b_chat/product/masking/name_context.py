"""Names that what stands before or after them makes names: titles, roles, verbs of speech."""

from typing import Final

from b2b_chat.product.masking.lexicon import CALL, GIVEN, PATRONYMIC, ROLE
from b2b_chat.product.masking.name_parts import Found, by_initials
from b2b_chat.product.masking.surnames import surely_surname
from b2b_chat.product.masking.word_list import INITIAL, TITLE, WordList

_MOST_TITLES: Final = 4


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
        certain = surely_surname(word) and not word.isascii()
        if certain and not (words.words[index] in ("с", "со") and not word.endswith(("ым", "ой", "им", "ом"))):
            if words.has(after + 1, PATRONYMIC | INITIAL | GIVEN) and words.joined(after):
                return None  # the next word finds all of the name
            more = words.joined(after) and words.proper(after + 1) and flags & (ROLE | CALL)
            return after, after + 1 if more else after
        if flags & CALL and words.joined(after) and words.proper(after + 1) and not words.flags[after + 1]:
            return after, after + 1
    before = index - 1
    if flags & CALL and before >= 0 and words.joined(before) and words.proper(before) and not words.flags[before]:
        word = words.words[before]
        if surely_surname(word):
            return before, before
    return None
