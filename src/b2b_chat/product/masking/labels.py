"""People whom a label or a signature announces: «ФИО: …», "My name is …", «С уважением, …»."""

import re
from collections.abc import Iterator
from typing import Final

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.lexicon import GIVEN, LEXICON, NEVER, PLACE, ROLE
from b2b_chat.product.masking.spans import Span
from b2b_chat.product.masking.surnames import surname_like
from b2b_chat.product.masking.text import Text, lowered

RANK: Final = 29
_PART: Final = r"(?:[A-ZА-ЯЁÀ-Þ][a-zа-яёß-ÿА-ЯЁA-Z'’-]{1,30}|[A-ZА-ЯЁ]\.)"
_NAME: Final = r"(" + _PART + r"(?:[ \u00a0]{0,3}(?:(?:оглы|кызы|van|von|de|da|bin|al|el|ibn)[ ])?" + _PART + r"){0,3})"
_AFTER: Final = re.compile(r"[\"']?[ \u00a0]?[:=—–>-][ \u00a0]{0,3}[\"'«]?" + _NAME)
_AFTER_OPEN: Final = re.compile(r"[\"']?[ \u00a0]?[:=—–-]?[ \u00a0]{0,2}[\"'«]?" + _NAME)
_AFTER_SIGNED: Final = re.compile(r"[^\n]{0,24}\n{1,3}[ ]{0,3}" + _NAME + r"(?=[ ,.]{0,3}(?:\n|\Z))")

_FIRM: Final = (
    *(
        "ф.и.о.",
        "ф.и.о",
        "фио",
        "водитель",
        "пациент",
        "пациентка",
        "заявитель",
        "застрахованный",
        "застрахованная",
        "контактное лицо",
        "контакт",
        "заемщик",
        "страхователь",
        "собственник",
    ),
    *(
        "выгодоприобретатель",
        "истец",
        "ответчик",
        "потерпевший",
        "потерпевшая",
        "абонент",
        "сотрудник",
        "сотрудница",
        "работник",
        "ответственный",
        "подпись",
        "подписант",
        "кому",
        "исп",
    ),
    *(
        "исполнитель",
        "patient",
        "driver",
        "applicant",
        "passenger",
        "ship to",
        "bill to",
        "attn",
        "signed by",
        "full name",
        "full_name",
        "fullname",
        "fio",
        "contact person",
        "contact",
    ),
    *(
        "recipient",
        "beneficiary",
        "payee",
        "получатель",
        "плательщик",
        "клиент",
        "покупатель",
        "автор",
        "докладчик",
        "сотрудника",
        "ребенок",
        "ученик",
        "студент",
        "гость",
        "арендатор",
    ),
    *(
        "наниматель",
        "продавец",
        "доверенное лицо",
        "поручитель",
        "созаемщик",
        "наследник",
        "мать",
        "отец",
        "супруг",
        "супруга",
        "employee",
        "guest",
        "student",
        "tenant",
        "from",
        "копия",
        "от кого",
    ),
)
"""After these and a colon or a dash any two capitalised words are a person."""
_OPEN: Final = (
    *(
        "меня зовут",
        "зовут меня",
        "его зовут",
        "ее зовут",
        "на имя",
        "в лице",
        "от имени",
        "my name is",
        "i am called",
        "cardholder",
        "card holder",
        "гражданин рф",
        "гражданин",
        "гражданина",
    ),
    *(
        "гражданину",
        "гражданином",
        "гражданка",
        "гражданки",
        "гражданке",
        "гражданку",
        "гражданкой",
        "this is",
        "ship to",
        "signed by",
        "on behalf of",
        "in the name of",
        "cc:",
        "bcc:",
        "to:",
    ),
)
"""After these the colon may be missing."""
_LOOSE: Final = (
    *(
        "имя",
        "фамилия и имя",
        "name",
        "user",
        "customer",
        "client",
        "author",
        "manager",
        "менеджер",
        "директор",
        "руководитель",
        "отчество",
    ),
    *("assignee", "reporter", "owner", "бухгалтер", "юрист"),
    *(
        "получил",
        "сдал",
        "принял",
        "составил",
        "утвердил",
        "проверил",
        "подготовил",
        "выдал",
        "согласовал",
        "согласовано",
        "утверждаю",
        "отпустил",
        "speaker",
        "приняла",
        "выдала",
        "сдала",
    ),
)
"""After these and a colon only what looks like a name is one."""
_SIGNED: Final = (
    *(
        "regards",
        "sincerely",
        "cheers",
        "yours",
        "best",
        "thanks",
        "thank you",
        "wishes",
        "уважением",
        "пожеланиями",
        "спасибо",
        "благодарностью",
        "заранее благодарю",
    ),
)
_ALONE: Final = frozenset(
    ("surname", "lastname", "last_name", "last name", "firstname", "first_name", "first name", "фамилия")
)
"""After these and a colon even one word is a name, whatever it looks like."""
_GROUPS: Final = (
    (frozenset(_FIRM), _AFTER, True),
    (frozenset(_OPEN), _AFTER_OPEN, True),
    (frozenset(_LOOSE), _AFTER, False),
    (_ALONE, _AFTER, True),
    (frozenset(_SIGNED), _AFTER_SIGNED, True),
)
LABELS: Final = frozenset((*_FIRM, *_OPEN, *_LOOSE, *_ALONE, *_SIGNED))
_FORMS: Final = frozenset(
    [
        "ооо",
        "оао",
        "зао",
        "пао",
        "нао",
        "ао",
        "ип",
        "тоо",
        "фгуп",
        "гуп",
        "муп",
        "ано",
        "нко",
        "снт",
        "тсж",
        "гбу",
        "мбу",
        "отдел",
        "команда",
        "группа",
        "служба",
        "администрация",
        "дирекция",
        "департамент",
        "управление",
        "отделение",
        "бухгалтерия",
        "банк",
        "тц",
        "жк",
        "фонд",
        "центр",
        "завод",
        "пиии",
        "мкк",
    ]
)


def labelled(text: Text) -> Iterator[Span | None]:
    """Yield the people that labels and signatures announce, and None for labels that announce none."""
    raw, low, found = text.raw, text.low, text.found
    for labels, after, firm in _GROUPS:
        for label in labels.intersection(found):
            for start in found[label]:
                if not low[start - 1 : start].isalnum():
                    match = after.match(raw, start + len(label))
                    yield None if match is None else _person(match, firm=firm, alone=labels is _ALONE)


def _person(match: re.Match[str], *, firm: bool, alone: bool) -> Span | None:
    parts = [part.strip(".") for part in re.split(r"[ \u00a0.]+", lowered(match.group(1))) if part]
    if not may_be_name(parts):
        return None
    known = any(LEXICON.get(part, 0) & GIVEN or surname_like(part) for part in parts)
    if not (known or (firm and (alone or len(parts) > 1))):
        return None
    return Span(*match.span(1), Kind.PERSON if len(parts) > 1 else Kind.NAME, RANK)


def may_be_name(parts: list[str]) -> bool:
    """Whether none of the words, in lower case, is known to be something else."""
    barred = NEVER | ROLE | (PLACE if len(parts) == 1 else 0)
    return not any(LEXICON.get(part, 0) & barred or part in _FORMS for part in parts)
