"""Shapes of documents and of requisites: numbers with check digits, or with a word beside them."""

import re
from typing import Final

from b2b_chat.product.masking import checksums
from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.shape import Shape, only_digits

_ORDERS: Final = (
    "заказ",
    "заявк",
    "трек",
    "артикул",
    "штрихкод",
    "накладн",
    "номенклатур",
    "order",
    "track",
    "партия",
    "isbn",
    "uuid",
    "sku",
    "инвойс",
)
_START: Final = r"[0-9](?<![\w.,+-][0-9])"
_PASSPORT: Final = ("паспорт", "passport", "серия", "серии", "удостоверение личности")
_THINGS: Final = (
    "изделия",
    "проекта",
    "безопасности",
    "оборудования",
    "прибора",
    "объекта",
    "сделки",
    "качества",
    "товара",
    "бюджет",
)


def _inn(value: str) -> bool:
    return checksums.inn(only_digits(value))


def _inn_10(value: str) -> bool:
    digits = only_digits(value)
    return len(digits) == 10 and checksums.inn(digits)  # noqa: PLR2004


def _ogrn(value: str) -> bool:
    return checksums.ogrn(only_digits(value))


def _snils(value: str) -> bool:
    return checksums.snils(only_digits(value))


DOCUMENTS: Final = (
    Shape(
        Kind.SNILS,
        re.compile(_START + r"[0-9]{2}[- ][0-9]{3}[- ][0-9]{3}[- ]{1,2}[0-9]{2}(?![\w-])"),
        "СНИЛС ⟦112-233-445 95⟧",
        digits=11,
        check=_snils,
        unless=_ORDERS,
        rank=66,
    ),
    Shape(
        Kind.SNILS,
        re.compile(_START + r"[0-9]{2}(?:[- ]?[0-9]{3}){2}[- ]{0,2}[0-9]{2}(?!\w)"),
        "снилс ⟦11223344595⟧",
        gate=("снилс", "snils", "страховой номер", "страховое свид"),
        digits=11,
        near=("снилс", "snils", "страховой номер", "страховое свид"),
        rank=68,
    ),
    Shape(
        Kind.OMS,
        re.compile(_START + r"[0-9]{3}(?:[ -]?[0-9]{4}){3}(?![\w-])"),
        "полис ОМС ⟦7700 1234 5678 9016⟧",
        gate=("омс", "полис", "енп", "медицинск"),
        digits=16,
        near=("омс", "полис", "енп", "медицинск"),
        rank=67,
    ),
    Shape(
        Kind.INN,
        re.compile(_START + r"[0-9]{11}(?!\w)"),
        "ИНН ⟦500100732259⟧",
        gate=("инн", "inn", "налогоплательщик", "tax"),
        digits=12,
        near=("инн", "inn", "налогоплательщик", "tax id", "taxpayer"),
        rank=65,
    ),
    Shape(
        Kind.INN,
        re.compile(_START + r"[0-9]{11}(?![\w-]|[.,][0-9])"),
        "его номер ⟦500100732259⟧",
        digits=12,
        check=_inn,
        unless=_ORDERS,
        rank=64,
    ),
    Shape(
        Kind.INN,
        re.compile(_START + r"[0-9](?: ?[0-9]){10}(?!\w)"),
        "ИНН ⟦50 01 00 732259⟧",
        gate=("инн", "inn"),
        digits=12,
        check=_inn,
        near=("инн", "inn"),
        rank=65,
    ),
    Shape(
        Kind.ORGINN,
        re.compile(_START + r"[0-9]{9}(?!\w)"),
        "ИНН ⟦7707083893⟧",
        gate=("инн", "inn", "налогоплательщик"),
        digits=10,
        check=_inn_10,
        near=("инн", "inn", "налогоплательщик"),
        rank=63,
    ),
    Shape(
        Kind.ORGINN,
        re.compile(r"(?:инн|inn)[ :№\"'/а-я-]{1,14}([0-9]{10})(?!\w)"),
        "ИНН: ⟦7707083890⟧",
        gate=("инн", "inn"),
        digits=10,
        folded=True,
        rank=62,
    ),
    Shape(
        Kind.KPP,
        re.compile(_START + r"[0-9]{3}[0-9A-Z]{2}[0-9]{3}(?!\w)"),
        "КПП ⟦770701001⟧",
        gate=("кпп", "kpp"),
        digits=7,
        near=("кпп", "kpp"),
        reach=30,
        rank=61,
    ),
    Shape(
        Kind.BIK,
        re.compile(r"0(?<!\w0)[0-9]{8}(?!\w)"),
        "БИК ⟦044525225⟧",
        gate=("бик", "bik"),
        digits=9,
        near=("бик", "bik"),
        reach=60,
        rank=62,
    ),
    Shape(
        Kind.OGRN,
        re.compile(r"[15](?<!\w[15])[0-9]{12}(?!\w)"),
        "ОГРН ⟦1027700132195⟧",
        gate=("огрн", "ogrn"),
        digits=13,
        near=("огрн", "ogrn"),
        reach=60,
        rank=63,
    ),
    Shape(
        Kind.OGRN,
        re.compile(r"[1-9](?<!\w[1-9])[0-9]{12}(?!\w)"),
        "госрегистрация ⟦1027700132195⟧",
        gate=("огрн", "ogrn", "регистрац"),
        digits=13,
        check=_ogrn,
        near=("огрн", "регистрац"),
        rank=62,
    ),
    Shape(
        Kind.OGRNIP,
        re.compile(r"[34](?<!\w[34])[0-9]{14}(?!\w)"),
        "ОГРНИП ⟦304500116000157⟧",
        gate=("огрн", "ogrn", "ип "),
        digits=15,
        near=("огрн", "ogrn", " ип "),
        reach=60,
        rank=64,
    ),
    Shape(
        Kind.PASSPORT,
        re.compile(
            r"сер(?:ия|ии|\.)?[ :№]{0,3}[0-9]{2} ?[0-9]{2}[ ,;]{0,3}(?:номер|№|no?\.?|n)?[ :№]{0,3}[0-9]{6}(?!\w)"
        ),
        "паспорт ⟦серия 4510 номер 123456⟧",
        gate=("сери", "сер."),
        digits=10,
        folded=True,
        rank=69,
    ),
    Shape(
        Kind.PASSPORT,
        re.compile(_START + r"[0-9] ?[0-9]{2}[ -]{0,2}(?:№|номер|N)?[ -]?[0-9]{3} ?[0-9]{3}(?!\w|[.,][0-9])"),
        "паспорт ⟦4510 123456⟧",
        gate=_PASSPORT,
        digits=10,
        near=_PASSPORT,
        reach=44,
        unless=_THINGS,
        rank=66,
    ),
    Shape(
        Kind.PASSPORT,
        re.compile(r"[A-Z](?<!\w.)[A-Z]? ?([0-9]{6,8})(?!\w)"),
        "паспорт FA ⟦1234567⟧",
        gate=("паспорт", "passport"),
        digits=6,
        near=("паспорт ", "паспорт:", "passport"),
        reach=24,
        unless=_THINGS,
        rank=64,
    ),
    Shape(
        Kind.PASSPORT,
        re.compile(_START + r"[0-9] ?(?:№|N)? ?[0-9]{7}(?!\w)"),
        "загранпаспорт ⟦75 1234567⟧",
        gate=("паспорт", "passport"),
        digits=9,
        near=("загранпаспорт", "заграничн", "паспорт", "passport"),
        unless=_THINGS,
        rank=65,
    ),
    Shape(
        Kind.PASSPORT,
        re.compile(
            r"(?:свидетельств[оа] о рождении|военн(?:ый|ого) билет"
            r"|birth certificate)[^0-9\n]{0,16}?((?:[ivx]{1,4}[- ])?[а-я]{2}[ №-]{1,3}[0-9]{6,7})(?!\w)"
        ),
        "свидетельство о рождении ⟦II-МЮ № 123456⟧",
        gate=("свидетельств", "военн"),
        digits=6,
        folded=True,
        rank=66,
    ),
    Shape(
        Kind.PASSPORT,
        re.compile(r"(?:series|серия)[\"' :=№]{1,5}([0-9]{2} ?[0-9]{2})(?![0-9])"),
        'passport: {"series": "⟦4510⟧", "number": "123456"}',
        gate=("series", "серия"),
        digits=10,
        near=("passport", "паспорт"),
        unless=_THINGS,
        folded=True,
        rank=64,
    ),
    Shape(
        Kind.PASSPORT,
        re.compile(r"(?:number|номер)[\"' :=№]{1,5}([0-9]{6})(?![0-9])"),
        'passport: {"series": "4510", "number": "⟦123456⟧"}',
        gate=("number", "номер"),
        digits=6,
        near=("passport", "паспорт"),
        reach=60,
        unless=_THINGS,
        folded=True,
        rank=64,
    ),
    Shape(
        Kind.LICENCE,
        re.compile(_START + r"[0-9] ?(?:[0-9]{2}|[А-ЯA-Z]{2})[ №-]{0,3}[0-9]{6}(?!\w)"),
        "водительское удостоверение ⟦77 19 123456⟧",
        gate=("ву", "в/у", "водительск", "licen", "удостоверени", "права"),
        digits=8,
        near=("права ", "права:", "ву ", "ву:", "(ву", "в/у", "водительск", "licen", "удостоверени"),
        unless=("паспорт",),
        rank=67,
    ),
)
