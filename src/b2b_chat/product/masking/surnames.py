"""What a surname or a patronymic looks like, in any case and in both scripts."""

import re
from typing import Final

from b2b_chat.product.masking.word_files import word_list

_STRONG: Final = re.compile(
    r"(?:"
    r"[а-я]{2,}(?:[оеё]в|[еи]н|ын)(?:а|у|ым|е|ой|ою|ых|ыми|ы)?"  # Иванов, Королёвой, Пушкиным, Птицына
    r"|[а-я]{2,}(?:[сц]к)(?:ий|ого|ому|им|ом|ая|ой|ую|ою)"  # Вишневский, Высоцкая
    r"|[а-я]{2,}енко|[а-я]{2,}(?:ч|щ|ш|н|л|т|д|р|с|м)ук(?:а|у|ом|е)?"  # Шевченко, Шевчука
    r"|[а-я]{2,}[чщ]ак(?:а|у|ом|е)?"  # Собчак
    r"|[а-я]{2,}(?:юк|чик|ейко|айко|ийко|ушко|ышко|очко|ечко|енок|енько|ык)(?:а|у|ом|е)?"
    r"|[а-я]{2,}[яа]н(?:ц)?(?:а|у|ом|ем|е)?"  # Саакян, Петросянц
    r"|[а-я]{2,}(?:дзе|швили|иани|уани|ава|ия|уа|улы|оглы|оглу|заде|зода|бек)"
    r"|[а-я]{2,}(?:ович|евич|инич)(?:а|у|ем|е)?"
    r"|[а-я]{2,}(?:ман|берг|штейн|штерн|сон|фельд|баум|блат|вальд|ульд|ицер|ингер|лер|нер|ллин|уллин|айло)(?:а"
    r"|у|ом|е)?"
    r"|[а-я]{3,}[ыи]х"  # Черных, Долгих
    r"|[а-я]{2,}аго|[а-я]{2,}ово"
    r"|[а-я]{2,}(?:ев|ов|ин)(?:ец|ца|цу|цом|це)"
    r")\Z"
)
_CERTAIN: Final = re.compile(
    r"(?:[а-я]{2,}(?:[оеё]в|[еи]н|ын)(?:а|у|ым|ой|ою|ых)?|[а-я]{2,}енко|[а-я]{2,}(?:ч|щ|ш)ук(?:а|у|ом|е)?"
    r"|[а-я]{2,}[яа]н(?:а|у|ом|е)?|[а-я]{2,}(?:дзе|швили)|[а-я]{3,}[сц]к(?:ий|ого|ому|им|ая|ой|ую)|[а-я]{2,}аго"
    r"|[а-я]{1,}йко|[а-я]{2,}[нл]як(?:а|у|ом|е)?|[а-я]{2,}(?:ович|евич)(?:а|у|ем|е)?|[а-я]{2,}(?:ман|берг|штейн)(?:а|у|ом|е)?)\Z"
)
_LATIN: Final = re.compile(
    r"(?:[a-z]{2,}(?:[oey]v|yov|iov|off|eff|in|yn)a?|[a-z]{2,}(?:sk|tsk|ck)(?:iy|y|i|aya|aia|aja|a)"
    r"|[a-z]{2,}enko|[a-z]{2,}(?:ch|sh)uk"
    r"|[a-z]{2,}[aiy]an|[a-z]{2,}(?:dze|shvili)|[a-z]{3,}(?:ykh|ikh|yh)|[a-z]{2,}(?:ovich|evich)"
    r"|[a-z]{2,}(?:son|man|mann|berg|stein|sen|ez))\Z"
)
_PATRONYMIC: Final = re.compile(
    r"(?:[а-я]{2,}(?:ов|ев|ьев|иев)ич(?:а|у|ем|е|ей|ами|ам)?|(?:иль|кузьм|лук|фом|никит|саввич|савв|аник|акинф"
    r"|ильин)ич(?:а|у|ем|е|ом)?"
    r"|[а-я]{2,}(?:ов|ев|ьев)н(?:а|ы|е|у|ой|ою|)|[а-я]{2,}(?:инич|ич|в?иш)н(?:а|ы|е|у|ой|ою)"
    r"|(?:саныч|палыч|михалыч|иваныч|петрович|семеныч|василич|николаич|алексеич|сергеич|андреич|степаныч"
    r"|кузьмич|лукич|никитич|ильич|фомич"
    r"|тимофеич|матвеич|егорыч|палн|санн|иванн|марьиванн|михалн|[а-я]{3,}(?:аныч|алыч|еныч|еич|аич))(?:а|у|ем"
    r"|ом|е|ы|ой)?)\Z"
)
_PATRONYMIC_LATIN: Final = re.compile(r"[a-z]{2,}(?:ovich|evich|yevich|ovna|evna|yevna|inichna|ichna)\Z")
_NO_PATRONYMIC: Final = frozenset(word_list("no_patronymic.txt"))
_HYPHENS: Final = "-"


_FAMILY: Final = re.compile(
    r"(?:[а-я]{3,}(?:[оеё]в|[иы]н)(?:а|у|ым|ой)?|[а-я]{2,}(?:енко|дзе|швили|[яа]нц?)|[а-я]{3,}чук(?:а|у|ом)?"
    r"|[a-z]{3,}(?:ov|ev)a?|[a-z]{2,}(?:enko|dze|shvili|yan|chuk))\Z"
)
_OF_MANY: Final = re.compile(r"[а-я]+(?:тор|ник|тел|ист|лог|щик|чик|ент|ант|ист|граф)(?:ов|ев)\Z")
FAMILY_TAILS: Final = frozenset(
    "ов ев ин ын ен ва на ву ну ым ой ко зе ли ян нц ан ук ка ку ом ov ev va ko ze li an uk".split()  # noqa: SIM905
)
"""The last two letters that make a capitalised word worth the question whether it is a surname."""


def _last(word: str) -> str:
    return word.rpartition(_HYPHENS)[2]


def surname_like(word: str) -> bool:
    """Whether a word in lower case ends as surnames do: enough beside a given name."""
    last = _last(word)
    return (_LATIN if last.isascii() else _STRONG).match(last) is not None


def surely_surname(word: str) -> bool:
    """Whether a word in lower case ends as few words but surnames do: enough beside a role or a verb of speech."""
    return _CERTAIN.match(_last(word)) is not None


def family_name(word: str) -> bool:
    """Whether a word in lower case ends as surnames do that are no adjectives: enough beside an unknown given name."""
    last = _last(word)
    return _FAMILY.match(last) is not None and _OF_MANY.match(last) is None


def patronymic(word: str) -> bool:
    """Whether a word in lower case is a patronymic, colloquial ones included."""
    if word.isascii():
        return _PATRONYMIC_LATIN.match(word) is not None
    return _PATRONYMIC.match(word) is not None and word not in _NO_PATRONYMIC


PATRONYMIC_TAILS: Final = frozenset(
    [
        "вич",
        "ича",
        "ичу",
        "чем",
        "иче",
        "вна",
        "вны",
        "вне",
        "вну",
        "ной",
        "ною",
        "чна",
        "чны",
        "чне",
        "чну",
        "чей",
        "ычу",
        "ыча",
        "ыче",
        "ныч",
        "лыч",
        "рыч",
        "еич",
        "аич",
        "лич",
        "ьич",
        "мич",
        "кич",
        "тич",
        "ич",
        "лна",
        "нна",
        "нны",
        "нну",
        "нне",
        "шна",
        "шны",
        "шне",
        "шну",
        "ich",
        "vna",
        "hna",
    ]
)
"""The last three letters that make a word worth the question."""
