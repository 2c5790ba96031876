"""Finding people: by patronymic, initials, given names, titles, and what stands beside them."""

from collections.abc import Iterator
from typing import Final

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.lexicon import (
    CALL,
    DOUBTFUL,
    DOUBTFUL_LOW,
    FULL,
    GIVEN,
    PATRONYMIC,
    ROLE,
)
from b2b_chat.product.masking.name_context import by_context, by_family_name, by_title
from b2b_chat.product.masking.name_parts import VERBAL, Found, by_initials, by_patronymic, surname_left, surname_right
from b2b_chat.product.masking.quotes import Quotes
from b2b_chat.product.masking.spans import Span
from b2b_chat.product.masking.surnames import surely_surname, surname_like
from b2b_chat.product.masking.word_list import CUE, INITIAL, PREPOSITION, TITLE, WordList

RANK: Final = 30
_NAMED_AFTER: Final = frozenset(("им", "имени"))
_NAMED_THINGS: Final = (
    *("река", "реки", "реке", "реку", "рекой", "озер", "остров", "посел", "село", "села", "селе", "деревн", "станиц"),
    *("хутор", "ураган", "тайфун", "шторм", "циклон", "спутник", "астероид", "комет", "теплоход", "ледокол"),
    *("улиц", "проспект", "площад", "бульвар", "переул", "метро", "станци"),
)
"""Beginnings of words for what has people's names: «посёлок Лев Толстой», «ураган Мария»."""
_LONGEST_THING: Final = 10
_ADDRESSING: Final = frozenset(
    [
        "это",
        "привет",
        "добрый",
        "доброе",
        "здравствуй",
        "здравствуйте",
        "прошу",
        "скинь",
        "пришли",
        "посмотри",
        "глянь",
        "напиши",
        "подскажи",
        "подскажите",
        "ты",
        "вы",
        "можешь",
        "можете",
        "спасибо",
        "нужно",
        "надо",
        "когда",
        "как",
        "что",
        "где",
        "не",
        "а",
        "я",
        "мы",
        "помоги",
        "помогите",
        "проверь",
        "сделай",
        "давай",
        "если",
        "перешли",
        "передай",
    ]
)
_ENGLISH_CUES: Final = frozenset(
    "hi hello hey dear contact ask tell call from by with and or thanks cc to for name is meet met told ping".split()  # noqa: SIM905 - reads best as lines
)
_PLACES_TOO: Final = ("владимир", "софи", "варн", "виктори", "мир", "рай", "рая", "раю", "свет", "слав")
_THINGS: Final = frozenset(
    ("почта", "почту", "телефон", "номер", "адрес", "карта", "карту", "паспорт", "заявление", "подпись", "зовут")
)
_FROM: Final = frozenset(("из", "с", "от", "по"))
_BEFORE: Final = frozenset(("я", "а", "но"))
_PARTICLES: Final = frozenset(
    (
        "de",
        "del",
        "della",
        "da",
        "di",
        "du",
        "van",
        "von",
        "der",
        "den",
        "bin",
        "ibn",
        "al",
        "el",
        "la",
        "le",
        "фон",
        "ван",
        "де",
        "дер",
    )
)
_SHORT: Final = 3
_SUFFIXES: Final = frozenset(("оглы", "кызы", "углы", "гызы", "оглу", "улы"))


def people(words: WordList, quotes: Quotes) -> Iterator[Span | None]:
    """Yield the people of a text, each once, and None now and then."""
    free = 0
    for count, index in enumerate(words.triggers):
        if not count & 127:
            yield None
        if index < free:
            continue
        found = _at(words, index)
        if found is None:
            continue
        first, last = max(found[0], free), _with_suffix(words, found[1])
        if first <= last and _stands(words, quotes, first, last):
            free = last + 1
            yield _span(words, first, last)


def _with_suffix(words: WordList, last: int) -> int:
    """Take in «Рауф оглы», «Мамед кызы»."""
    for length in (1, 2):
        end = last + length
        if end < len(words.words) and words.words[end] in _SUFFIXES and all(map(words.joined, range(last, end))):
            return end
    return last


def _at(words: WordList, index: int) -> Found | None:
    """Return the first and last word of the name that a trigger belongs to."""
    flags = words.flags[index]
    if flags & PATRONYMIC:
        return by_patronymic(words, index)
    if flags & INITIAL:
        return by_initials(words, index)
    if flags & GIVEN and words.whole(index):
        found = _by_given_name(words, index)
        if found is not None:
            return found
    if flags & TITLE:
        return by_title(words, index)
    if flags & (ROLE | CALL | PREPOSITION | CUE):
        return by_context(words, index)
    return by_family_name(words, index) if not flags else None


def _span(words: WordList, first: int, last: int) -> Span:
    end = words.ends[last]
    end += bool(words.flags[last] & INITIAL) and words.text.raw[end : end + 1] == "."
    alone = first == last or (last == first + 1 and not words.joined(first))
    return Span(words.starts[first], end, Kind.NAME if alone else Kind.PERSON, RANK - alone)


def _named_thing(words: WordList, index: int) -> bool:
    """Whether a word is a case of one of the things that bear people's names."""
    word = words.words[index]
    return word.startswith(_NAMED_THINGS) and words.joined(index) and len(word) <= _LONGEST_THING


def _stands(words: WordList, quotes: Quotes, first: int, last: int) -> bool:
    if first > 0 and (words.words[first - 1] in _NAMED_AFTER or _named_thing(words, first - 1)):
        return False
    if last + 1 < len(words.words) and words.gap(last) == " & ":
        return False
    full = last - first > 1 or ((last > first and words.has(first, INITIAL)) or words.has(last, INITIAL))
    return (full and not quotes.is_title_noun(words.starts[first])) or not quotes.is_title(words.starts[first])


def _by_given_name(words: WordList, index: int) -> Found | None:
    capital = words.capital(index)
    flags = words.flags[index]
    if words.has(index + 1, PATRONYMIC) and words.joined(index):
        return by_patronymic(words, index + 1)
    if words.has(index + 1, INITIAL) and words.joined(index) and capital:
        return by_initials(words, index + 1)
    if not capital:
        return _lower_case(words, index)
    if (
        words.joined(index)
        and words.words[index + 1] in _PARTICLES
        and words.joined(index + 1)
        and words.proper(index + 2)
    ):
        return index, index + 3 if words.joined(index + 2) and words.proper(index + 3) else index + 2
    left, right = surname_left(words, index - 1, lower=False), surname_right(words, index + 1, lower=False)
    if left and not (right and not surname_like(words.words[index - 1])):
        return index - 1, index
    if right and flags & DOUBTFUL and _of_somebody(words, index):
        return None
    if right:
        after = index + 2
        more = (
            after < len(words.words)
            and words.joined(index + 1)
            and words.proper(after)
            and surname_like(words.words[after])
        )
        return index, after if more else index + 1
    before = index - 1
    if (
        before >= 0
        and words.gap(before) == ", "
        and words.words[before].isascii()
        and surname_like(words.words[before])
        and words.proper(before)
    ):
        return before, index
    if flags & DOUBTFUL or (flags & DOUBTFUL_LOW and words.begins_sentence(index)):
        return (index, index) if _addressed(words, index) else None
    return (index, index) if _alone(words, index) and not _shortened(words, index) else None


def _of_somebody(words: WordList, index: int) -> bool:
    """Whether a word for a thing and whose it is read like a name: «Роман Булгакова», but not «Романа Булгакова»."""
    word, other = words.words[index], words.words[index + 1]
    return word[-1] not in "аяуюе" and other.endswith(("ова", "ева", "ина", "ского", "цкого"))


def _lower_case(words: WordList, index: int) -> Found | None:
    """A given name in lower case: with a surname, beside a verb of speech, or where it can be nothing else."""
    flags, word = words.flags[index], words.words[index]
    if word.isascii():
        return None
    doubtful = bool(flags & (DOUBTFUL | DOUBTFUL_LOW))
    spoken = index > 0 and words.joined(index - 1) and words.has(index - 1, CALL | ROLE)
    if surname_right(words, index + 1, lower=True) and (spoken or not doubtful):
        return index, index + 1
    before = index - 1
    if (
        not doubtful
        and before >= 0
        and words.joined(before)
        and not words.flags[before]
        and surely_surname(words.words[before])
    ):
        return before, index
    after = index + 1
    if (
        spoken
        and words.joined(index)
        and not words.flags[after]
        and not words.words[after].endswith(VERBAL)
        and len(words.words[after]) > _SHORT
    ):
        return index, after
    if doubtful:
        return (index, index) if spoken and flags & FULL else None
    return (index, index) if flags & FULL or spoken else None


def _shortened(words: WordList, index: int) -> bool:
    """Whether a full stop behind a word makes it an abbreviation: «Макс. нагрузка»."""
    raw, end = words.text.raw, words.ends[index]
    return raw[end : end + 2] == ". " and raw[end + 2 : end + 3].islower()


def _alone(words: WordList, index: int) -> bool:
    if not words.words[index].isascii():
        return True
    return bool(words.flags[index] & FULL) and index > 0 and words.words[index - 1] in _ENGLISH_CUES


def _belongs(words: WordList, index: int) -> bool:
    """«Почта Романа», «для Веры»: whose something is, or whom it is for. Places are excepted."""
    if words.words[index].startswith(_PLACES_TOO):
        return False
    return words.words[index - 1] in _THINGS or (words.has(index - 1, PREPOSITION) and words.capital(index))


def _addressed(words: WordList, index: int) -> bool:
    """Whether a doubtful name is one: by a title, a role or a verb beside it, or because it calls somebody."""
    raw, end = words.text.raw, words.ends[index]
    before = index - 1
    if (
        before >= 0
        and words.joined(before)
        and (words.has(before, CALL | TITLE | ROLE | CUE) or words.words[before] in _BEFORE)
    ):
        return True
    if words.has(index + 1, CALL) and words.joined(index):
        return True
    if before >= 0 and words.joined(before) and _belongs(words, index):
        return True
    if (
        before >= 0
        and words.words[before] == "это"
        and (
            raw[end : end + 1] in ("", ".", ",", "!", "\n") or (words.joined(index) and words.words[index + 1] in _FROM)
        )
    ):
        return True
    calls = words.begins_sentence(index) and raw[end : end + 1] in (",", "!")
    return calls and index + 1 < len(words.words) and words.words[index + 1] in _ADDRESSING
