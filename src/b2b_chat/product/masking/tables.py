"""Cells whose column says what they are: tables of CSV, tabs or Markdown, and SQL's INSERT."""

import re
from collections.abc import Iterator
from typing import Final

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.labels import may_be_name
from b2b_chat.product.masking.spans import Span
from b2b_chat.product.masking.text import Text, lowered

RANK: Final = 28
_DELIMITERS: Final = (";", "|", "\t", ",")
_COLUMNS: Final = (
    (
        Kind.PERSON,
        re.compile(
            r"ф\.?и\.?о\.?|фамилия|имя|отчество|сотрудник|работник|водитель|клиент|пациент|контактное лицо"
            r"|менеджер|покупатель|получатель|заказчик|абонент|ответственный"
            r"|(?:full[ _]?|first[ _]?|last[ _]?|sur)?name|fio|employee|person|customer|student|ученик|студент"
            r"|участник|гость|пассажир"
        ),
    ),
    (
        Kind.BIRTHDATE,
        re.compile(
            r"(?:дата|год|день) рожд[а-я.]*|д\.? ?р\.?|birth[ _]?(?:date|day)?|dob|date[ _]of[ _]birth"
            r"|др|born"
        ),
    ),
    (
        Kind.PASSPORT,
        re.compile(
            r"паспорт(?:а|ные данные)?(?:[ ,]{1,2}[а-я№]+){0,3}|passport(?: [a-z]+)?|серия и номер|серия, номер"
        ),
    ),
    (Kind.KPP, re.compile(r"кпп|kpp")),
    (Kind.INN, re.compile(r"инн|inn|инн/кпп")),
    (Kind.SNILS, re.compile(r"снилс|snils")),
    (Kind.BIK, re.compile(r"бик|bik")),
    (Kind.OGRN, re.compile(r"огрн|огрнип|ogrn")),
    (
        Kind.PHONE,
        re.compile(
            r"(?:номер )?(?:телефона?|тел\.?|моб\.?)(?: [а-я]+)?|phone(?: [a-z]+)?|mobile|сотовый"
            r"|контактный телефон"
        ),
    ),
    (Kind.CARD, re.compile(r"(?:номер )?карт[аы](?: [а-я]+)?|card(?: [a-z]+)?")),
    (Kind.ACCOUNT, re.compile(r"р/с|р/сч|счет|расчетный счет|номер счета|account(?: [a-z]+)?")),
    (
        Kind.ADDRESS,
        re.compile(
            r"(?:домашний |почтовый |фактический |юр\.? ?)?адрес(?: [а-я]+){0,2}|address|место жительства"
            r"|прописка|регистрация"
        ),
    ),
    (Kind.SECRET, re.compile(r"пароль|password|pass|pwd|токен|token|api[ _-]?key|ключ|секрет|secret")),
    (Kind.HANDLE, re.compile(r"(?:телеграм|telegram|тг|tg|ник|nick|handle)")),
    (Kind.LICENCE, re.compile(r"в/?у|водительское(?: [а-я]+)?|номер ву")),
    (Kind.OMS, re.compile(r"омс|полис(?: омс)?")),
    (Kind.PLATE, re.compile(r"гос\.? ?номер|г/н|грз|номер (?:авто|машины|тс)")),
)
_SHAPES: Final = {
    Kind.PERSON: re.compile(r"[^\W\d_][^\d@:/]{1,60}"),
    Kind.BIRTHDATE: re.compile(
        r"[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{2,4}|[0-9]{4}"
        r"|[0-9]{1,2} \w{3,8} [0-9]{4}.{0,3}"
    ),
    Kind.PASSPORT: re.compile(r"[0-9][0-9 №-]{7,14}[0-9]"),
    Kind.ADDRESS: re.compile(r"(?=[^0-9]*[0-9]).{6,160}"),
    Kind.SECRET: re.compile(r"\S{4,200}"),
    Kind.HANDLE: re.compile(r"@?[A-Za-z]\w{3,31}"),
    Kind.PLATE: re.compile(r"[^\W\d_] ?[0-9]{3} ?[^\W\d_]{2} ?[0-9]{2,3}"),
    Kind.LICENCE: re.compile(r"[0-9]{2} ?\w{2} ?[0-9]{6}"),
}
_NUMBER: Final = re.compile(r"[+(]?[0-9][0-9 ()\u00a0-]{4,26}[0-9]")
_INSERT: Final = re.compile(r"\(([^()\n]{1,400})\)\s{1,8}values\s{0,8}(?=\()", re.IGNORECASE)
_ROW: Final = re.compile(r"\(([^()]{1,1000})\)\s{0,4},?\s{0,4}")
_LEGAL: Final = 10
_LONGEST_HEADER: Final = 240
_MOST_COLUMNS: Final = 64
_STRIPPED: Final = " \t\r\n\"'*_`"


def tables(text: Text) -> Iterator[Span | None]:
    """Yield the cells of columns whose header names a kind, and None for every line."""
    raw = text.raw
    if "\n" in raw:
        yield from _lines(text)
    if "(" in raw and "values" in text.found:
        for insert in _INSERT.finditer(raw):
            kinds = _named(text.low[insert.start(1) : insert.end(1)], ",")
            row = _ROW.match(raw, insert.end())
            while row is not None and kinds:
                yield from _cells(row.group(1), row.start(1), ",", kinds)
                row = _ROW.match(raw, row.end())


def _lines(text: Text) -> Iterator[Span | None]:
    kinds: dict[int, Kind] = {}
    delimiter = ""
    position = 0
    for line in text.raw.splitlines(keepends=True):
        if delimiter and line.count(delimiter) >= max(kinds):
            yield from _cells(line, position, delimiter, kinds)
        elif len(line) < _LONGEST_HEADER:
            delimiter, kinds = _header(text.low[position : position + len(line)])
        position += len(line)
        yield None


def _header(line: str) -> tuple[str, dict[int, Kind]]:
    for delimiter in _DELIMITERS:
        if delimiter in line:
            named = _named(line, delimiter)
            if named:
                return delimiter, named
    return "", {}


def _named(header: str, delimiter: str) -> dict[int, Kind]:
    cells = header.split(delimiter, _MOST_COLUMNS)
    return {index: kind for index, cell in enumerate(cells) if (kind := _kind_of(cell)) is not None}


def _kind_of(cell: str) -> Kind | None:
    name = cell.strip(_STRIPPED)
    if not 1 < len(name) < 40:  # noqa: PLR2004
        return None
    return next((kind for kind, pattern in _COLUMNS if pattern.fullmatch(name)), None)


def _cells(line: str, position: int, delimiter: str, kinds: dict[int, Kind]) -> Iterator[Span]:
    at = position
    for index, cell in enumerate(line.split(delimiter, _MOST_COLUMNS)):
        kind = kinds.get(index)
        value = cell.strip(_STRIPPED)
        if kind is not None and value and _SHAPES.get(kind, _NUMBER).fullmatch(value) and _fits(kind, value):
            start = at + cell.index(value)
            legal = kind is Kind.INN and sum(map(str.isdigit, value)) == _LEGAL
            yield Span(start, start + len(value), Kind.ORGINN if legal else kind, RANK)
        at += len(cell) + len(delimiter)


def _fits(kind: Kind, value: str) -> bool:
    if kind is not Kind.PERSON:
        return True
    parts = lowered(value).replace(".", " ").split()
    return len(parts) <= 4 and value[0].isupper() and all(part[0].isalpha() for part in parts) and may_be_name(parts)  # noqa: PLR2004
