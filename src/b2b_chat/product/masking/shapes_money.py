"""Shapes of cards and accounts."""

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
_BALANCE: Final = re.compile(r"(?:30[1-9]|31[0-9]|32[0-9]|40[1-9]|4[12][0-9]|44[0-9]|45[0-9]|47[0-9])")
_CURRENCIES: Final = frozenset(
    (
        "810",
        "643",
        "840",
        "978",
        "156",
        "398",
        "756",
        "826",
        "933",
        "417",
        "860",
        "944",
        "051",
        "356",
        "392",
        "784",
        "949",
    )
)
_IBAN_LENGTHS: Final = {
    "AD": 24,
    "AE": 23,
    "AL": 28,
    "AT": 20,
    "AZ": 28,
    "BA": 20,
    "BE": 16,
    "BG": 22,
    "BH": 22,
    "BR": 29,
    "BY": 28,
    "CH": 21,
    "CR": 22,
    "CY": 28,
    "CZ": 24,
    "DE": 22,
    "DK": 18,
    "DO": 28,
    "EE": 20,
    "EG": 29,
    "ES": 24,
    "FI": 18,
    "FO": 18,
    "FR": 27,
    "GB": 22,
    "GE": 22,
    "GI": 23,
    "GL": 18,
    "GR": 27,
    "GT": 28,
    "HR": 21,
    "HU": 28,
    "IE": 22,
    "IL": 23,
    "IQ": 23,
    "IS": 26,
    "IT": 27,
    "JO": 30,
    "KW": 30,
    "KZ": 20,
    "LB": 28,
    "LC": 32,
    "LI": 21,
    "LT": 20,
    "LU": 20,
    "LV": 21,
    "MC": 27,
    "MD": 24,
    "ME": 22,
    "MK": 19,
    "MR": 27,
    "MT": 31,
    "MU": 30,
    "NL": 18,
    "NO": 15,
    "PK": 24,
    "PL": 28,
    "PS": 29,
    "PT": 25,
    "QA": 29,
    "RO": 24,
    "RS": 22,
    "SA": 24,
    "SE": 24,
    "SI": 19,
    "SK": 24,
    "SM": 27,
    "TN": 24,
    "TR": 26,
    "UA": 29,
    "VA": 22,
    "VG": 24,
    "XK": 20,
}
_START: Final = r"[0-9](?<![\w.,+-][0-9])"


def _card(value: str) -> bool:
    digits = only_digits(value)
    return digits[0] in "23456" and len(set(digits)) > 1 and checksums.luhn(digits)


def _account(value: str) -> bool:
    digits = only_digits(value)
    return len(digits) == 20 and digits[5:8] in _CURRENCIES and _BALANCE.match(digits) is not None  # noqa: PLR2004


def _twenty(value: str) -> bool:
    return len(only_digits(value)) == 20  # noqa: PLR2004


def _iban(value: str) -> bool:
    plain = "".join(value.split())
    return _IBAN_LENGTHS.get(plain[:2]) == len(plain) and checksums.iban(plain)


def _iban_beside_its_name(value: str) -> bool:
    plain = "".join(value.split())
    return _IBAN_LENGTHS.get(plain[:2], len(plain)) == len(plain)


MONEY: Final = (
    Shape(
        Kind.CARD,
        re.compile(
            _START
            + r"[0-9]{3}(?:(?:[ \u00a0\u2009\u202f.-]| - |  )?[0-9]{4}){3}(?:[ -]?[0-9]{1,3})?(?![\w-]|[.,][0-9])"
        ),
        "карта ⟦2200 1234 5678 9019⟧",
        digits=16,
        check=_card,
        unless=(*_ORDERS, "гаранти", "полис", "омс", "договор"),
        rank=60,
    ),
    Shape(
        Kind.CARD,
        re.compile(r"[0-9](?<!\w[0-9])[0-9]{3}[ -]?[0-9]{6}[ -]?[0-9]{5}(?![\w-])"),
        "карта ⟦3782 822463 10005⟧",
        digits=15,
        check=_card,
        near=("карт", "card", "amex"),
        rank=60,
    ),
    Shape(
        Kind.CARD,
        re.compile(r"[2-6](?<!\w[2-6])[0-9]{3}(?:[ -]?[0-9]{4}){3}(?![\w-])"),
        "на карту ⟦2200 1234 5678 9011⟧",
        gate=("карт", "card", "visa", "master"),
        digits=16,
        near=("карту", "карты", "карта ", "карта:", "карте", "card", "visa", "master"),
        reach=20,
        unless=("лояльн", "скидоч", "гаранти", "подароч"),
        rank=58,
    ),
    Shape(
        Kind.ACCOUNT,
        re.compile(_START + r"[0-9]{3,4}(?:[ \u00a0.-]?[0-9]){15,16}(?![\w-])"),
        "р/с ⟦40702810500000000019⟧",
        digits=20,
        check=_account,
        rank=70,
    ),
    Shape(
        Kind.ACCOUNT,
        re.compile(_START + r"[0-9]{2}(?:[ \u00a0.-]?[0-9]){17}(?!\w)"),
        "расчётный счёт ⟦55502999500000000019⟧",
        gate=("р/с", "счет", "к/с", "л/с", "account", "р/сч", "расч"),
        digits=20,
        check=_twenty,
        near=("р/с", "счет", "к/с", "л/с", "account", "расч"),
        rank=70,
    ),
    Shape(
        Kind.IBAN,
        re.compile(
            r"[A-Z](?<![A-Za-z0-9].)[A-Z][0-9]{2}(?:[ \u00a0]?[A-Z0-9]{4}){2,7}(?:[ \u00a0]?[A-Z0-9]{1,3})?(?!["
            r"A-Za-z0-9])"
        ),
        "IBAN ⟦DE89 3704 0044 0532 0130 00⟧",
        digits=8,
        check=_iban,
        rank=72,
    ),
    Shape(
        Kind.IBAN,
        re.compile(
            r"(?i:iban)[ :№\"-]{1,4}([A-Z]{2}[0-9]{2}(?:[ \u00a0]?[A-Z0-9]{4}){2,7}(?:[ \u00a0]?[A-Z0-9]{1,3})?"
            r")(?![A-Za-z0-9])"
        ),
        "IBAN: ⟦DE88 3704 0044 0532 0130 00⟧",
        gate=("iban",),
        digits=8,
        check=_iban_beside_its_name,
        rank=71,
    ),
)
