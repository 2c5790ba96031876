"""Shapes of phone numbers."""

import re
from typing import Final

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.shape import Shape, only_digits

_SEP: Final = r"[ \u00a0().–-]{0,3}"
_EXTENSION: Final = r"(?:,? ?\(?(?:доб(?:авочный)?|вн(?:утр)?|ext)\.? ?(?:№ ?)?[0-9]{1,6})?"
_END: Final = r"(?![0-9A-Za-zА-я]|[-.,][0-9])"
_PHONES: Final = (
    "тел",
    "звон",
    "моб",
    "номер",
    "сотов",
    "whatsapp",
    "ватсап",
    "вотсап",
    "вацап",
    "viber",
    "вайбер",
    "phone",
    "call",
    "связ",
    "контакт",
    "факс",
    "fax",
    "mobile",
    "cell",
)
_NO_PHONES: Final = (
    "заказ",
    "трек",
    "накладн",
    "артикул",
    "заявк",
    "договор",
    "order",
    "track",
    "инвойс",
    "invoice",
    "партия",
    "sku",
    "id ",
    "id:",
    "id=",
    "чек ",
)
_AMOUNTS: Final = ("руб", "₽", " шт", " тыс", " млн", " кг", "штук", "usd", "eur", "$", "€")


def _eleven(value: str) -> bool:
    digits = only_digits(value.partition("д")[0].partition("в")[0].partition("e")[0])
    return len(digits) >= 11 and len(set(digits)) > 2  # noqa: PLR2004 - 8 800 …, not 88888888888


def _ten(value: str) -> bool:
    return len(only_digits(value.partition("д")[0].partition("в")[0].partition("e")[0])) == 10  # noqa: PLR2004


PHONES: Final = (
    Shape(
        Kind.PHONE,
        re.compile(r"\+(?<!\w\+)7(?:" + _SEP + r"[0-9]){10}(?![0-9])" + _EXTENSION),
        "тел. ⟦+7 (916) 123-45-67⟧",
        gate=("+7",),
        digits=11,
        rank=56,
        folded=True,
    ),
    Shape(
        Kind.PHONE,
        re.compile(r"\+(?<![\w+]\+)[1-9](?:[ ().–-]{0,2}[0-9]){8,14}(?![0-9])" + _EXTENSION),
        "call ⟦+44 20 7946 0958⟧",
        gate=("+",),
        digits=9,
        not_after=_AMOUNTS,
        rank=55,
        folded=True,
    ),
    Shape(
        Kind.PHONE,
        re.compile(r"8(?<![\w.,+/№#-]8)" + _SEP + r"[03-9](?:" + _SEP + r"[0-9]){9}" + _END + _EXTENSION),
        "звоните ⟦8 (916) 123-45-67⟧",
        gate=("8",),
        digits=11,
        check=_eleven,
        unless=_NO_PHONES,
        not_after=_AMOUNTS,
        rank=54,
        folded=True,
    ),
    Shape(
        Kind.PHONE,
        re.compile(r"7(?<![\w.,+/№#-]7)" + _SEP + r"[3-9](?:" + _SEP + r"[0-9]){9}" + _END + _EXTENSION),
        "звоните ⟦7 916 123-45-67⟧",
        gate=("7",),
        digits=11,
        check=_eleven,
        unless=_NO_PHONES,
        not_after=_AMOUNTS,
        rank=53,
        folded=True,
    ),
    Shape(
        Kind.PHONE,
        re.compile(
            r"[(3489](?<![\w.,+/№#-].)(?:(?<=\()[3489])?[0-9]{2,4}\)?[ -]{0,2}[0-9]{2,3}[ –-][0-9]{2}[ –-][0-9]{2}"
            + _END
            + _EXTENSION
        ),
        "мобильный ⟦916 123-45-67⟧",
        digits=10,
        check=_ten,
        near=_PHONES,
        reach=60,
        unless=_NO_PHONES,
        not_after=_AMOUNTS,
        rank=52,
        folded=True,
    ),
    Shape(
        Kind.PHONE,
        re.compile(
            r"(?:9(?<![\w.,+/№#-]9)[0-9]{2}|\([3489][0-9]{2,4}\)) ?[0-9]{2,3}-[0-9]{2}-[0-9]{2}" + _END + _EXTENSION
        ),
        "и ⟦(495) 123-45-67⟧",
        gate=("-",),
        digits=10,
        check=_ten,
        unless=_NO_PHONES,
        not_after=_AMOUNTS,
        rank=52,
        folded=True,
    ),
    Shape(
        Kind.PHONE,
        re.compile(r"[0-9](?<![\w.,+/№#-][0-9])[0-9]{1,2}[ –-][0-9]{2}[ –-][0-9]{2}" + _END + _EXTENSION),
        "тел. ⟦123-45-67⟧",
        gate=("тел", "факс", "звон", "phone", "исп."),
        digits=6,
        near=("исп.", "тел.", "тел:", "тел ", "телефон", "факс", "звони", "phone"),
        reach=40,
        unless=_NO_PHONES,
        not_after=_AMOUNTS,
        rank=51,
        folded=True,
    ),
    Shape(
        Kind.PHONE,
        re.compile(r"(?:\([2-9][0-9]{2}\) ?|[2-9](?<![\w.,+/№#-].)[0-9]{2}[-. ])[0-9]{3}[-. ][0-9]{4}" + _END),
        "phone ⟦(555) 123-4567⟧",
        digits=10,
        near=_PHONES,
        reach=40,
        unless=_NO_PHONES,
        rank=51,
        folded=True,
    ),
    Shape(
        Kind.PHONE,
        re.compile(r"9(?<![\w.,+/№#-]9)[0-9]{9}" + _END),
        "мой телефон ⟦9161234567⟧",
        gate=_PHONES,
        digits=10,
        near=_PHONES,
        reach=24,
        unless=(*_NO_PHONES, "инн", "паспорт"),
        rank=50,
        folded=True,
    ),
    Shape(
        Kind.PHONE,
        re.compile(r"8/(?<![\w.,+/№#-]8/)[3489][0-9]{2,4}/[0-9]{1,3}(?:[ -]?[0-9]{2}){2}" + _END),
        "тел ⟦8/916/123-45-67⟧",
        gate=("8/",),
        digits=11,
        near=_PHONES,
        reach=40,
        rank=51,
        folded=True,
    ),
    Shape(
        Kind.PHONE,
        re.compile(r"(?<=-[0-9]{2}[,;] )[0-9]{2,3}-[0-9]{2}-[0-9]{2}" + _END),
        "тел. +7 (495) 123-45-67, ⟦123-45-68⟧",
        gate=("тел", "моб", "факс", "+7", "phone"),
        digits=13,
        rank=50,
    ),
)
