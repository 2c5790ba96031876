"""Shapes of dates of birth: a date, and a word that says whose."""

import re
from typing import Final

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.shape import Shape

_MONTHS: Final = (
    r"(?:январ[ья]|феврал[ья]|марта?|апрел[ья]|ма[йя]|июн[ья]|июл[ья]|августа?|сентябр[ья]|октябр[ья]"
    r"|ноябр[ья]|декабр[ья]"
    r"|jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DATE: Final = (
    r"[0-9](?<![\w.][0-9])(?:[0-9]?[./-][0-9]{1,2}[./-](?:19|20)?[0-9]{2}|(?:9|0)[0-9]{2}[./-][0-9]{2}[./-][0-9]{2}"
    r"|[0-9]?(?:st|nd|rd|th|[»\"”])? (?:of )?"
    + _MONTHS
    + r"\.?,? (?:19|20)[0-9]{2}(?: года?(?! ?рожд)| г\.(?! ?р))?)(?![0-9]|[.-][0-9])"
)
_BORN: Final = ("рожд", "родил", "д.р", "д. р", "д/р", " др ", "др:", "born", "birth", "dob", "d.o.b", "день рожд")
_BORN_AFTER: Final = (
    "г.р",
    "г/р",
    "года рожд",
    " г.р",
    "г. р",
    " г.р.",
    " года рожд",
    "г. рожд",
    " гг.р",
    " г/р",
    " рожд",
    ") рожд",
)
_NOT_PEOPLE: Final = ("компан", "фирм", "организац", "проект", "бренд", "завод", "основан")


def _date(value: str) -> bool:
    numbers = [int(part) for part in re.findall(r"[0-9]+", value)]
    return all(number <= 31 or 1900 <= number <= 2029 or len(str(number)) == 2 for number in numbers)  # noqa: PLR2004


AFTER_NAME: Final = re.compile(
    r"[ ]?[,;|(\t'\"]{1,3}[ ]?['\"]?([0-3]?[0-9][./-][01]?[0-9][./-](?:19[0-9]{2}|200[0-9]|201[01])"
    r"|(?:19[0-9]{2}|200[0-9]|201[01])-[01][0-9]-[0-3][0-9])(?![\w.-]|[ ](?:года[ ])?(?:№|по|принят|был|подпис|заключ))"
)
"""A date long ago right after a full name: whose birth date else would it be?"""

DATES: Final = (
    Shape(
        Kind.BIRTHDATE,
        re.compile(_DATE),
        "дата рождения ⟦12.08.1972⟧",
        gate=(*_BORN, " др"),
        digits=4,
        check=_date,
        near=_BORN,
        reach=36,
        unless=_NOT_PEOPLE,
        not_after=("основан",),
        folded=True,
        rank=49,
    ),
    Shape(
        Kind.BIRTHDATE,
        re.compile(_DATE),
        "Иванов, ⟦12.08.1972⟧ г.р.",
        gate=("г.р", "г. р", "г/р", "рожд"),
        digits=4,
        check=_date,
        after=_BORN_AFTER,
        folded=True,
        rank=49,
    ),
    Shape(
        Kind.BIRTHDATE,
        re.compile(r"\bдр[ :—-]{1,3}(" + _DATE + ")"),
        "ДР ⟦05.05.1975⟧",
        gate=("др ", "др:"),
        digits=4,
        check=_date,
        folded=True,
        rank=49,
    ),
    Shape(
        Kind.BIRTHDATE,
        re.compile(r"[0-9](?<![\w.][0-9])[0-9]? " + _MONTHS + r"(?![а-яa-z])"),
        "день рождения у него ⟦7 апреля⟧",
        gate=("день рожд", "дня рожд", "днем рожд", "birthday"),
        digits=1,
        near=("день рожд", "дня рожд", "днем рожд", "birthday"),
        reach=30,
        unless=_NOT_PEOPLE,
        not_after=_NOT_PEOPLE,
        folded=True,
        rank=47,
    ),
    Shape(
        Kind.BIRTHDATE,
        re.compile(_MONTHS + r"\.? [0-9]{1,2}(?:st|nd|rd|th)?,? (?:19|20)[0-9]{2}(?![0-9])"),
        "born on ⟦March 5, 1984⟧",
        gate=("born", "birth", "dob"),
        digits=5,
        near=("born", "birth", "dob"),
        folded=True,
        rank=49,
    ),
    Shape(
        Kind.BIRTHDATE,
        re.compile(r"[12](?<!\w.)[90][0-9]{2}(?= ?(?:г\.? ?р(?:\.|ожд)|года рожд))"),
        "Иванов, ⟦1972⟧ г.р.",
        gate=("г.р", "г. р", "года рожд", "г.рожд"),
        digits=4,
        folded=True,
        rank=48,
    ),
)
