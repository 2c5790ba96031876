"""Shapes of handles, addresses on networks, and number plates."""

import ipaddress
import re
from typing import Final

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.shape import Shape

_MESSENGERS: Final = (
    "тг",
    "телег",
    "телеграм",
    "telegram",
    "tg",
    "ник",
    "инст",
    "insta",
    "аккаунт",
    "канал",
    "логин",
    "пиши",
    "contact",
    "контакт",
    "скайп",
    "skype",
    "discord",
    "twitter",
    "вк",
    "vk",
    "t.me",
    "user=",
    "username",
)
_NO_HANDLES: Final = frozenset(
    [
        "all",
        "here",
        "everyone",
        "channel",
        "media",
        "import",
        "dataclass",
        "property",
        "staticmethod",
        "classmethod",
        "override",
        "param",
        "return",
        "returns",
        "author",
        "todo",
    ]
)
_SMALL: Final = 10
_LETTER: Final = r"[АВЕКМНОРСТУХABEKMHOPCTYXавекмнорстухabekmhopctyx]"


def _ipv4(value: str) -> bool:
    return _ipv4_beside_its_name(value) and any(int(part) >= _SMALL for part in value.split("."))


def _ipv4_beside_its_name(value: str) -> bool:
    octets = [int(part) for part in value.split(".")]
    return max(octets) < 256 and octets[0] not in (0, 127, 255)  # noqa: PLR2004


def _ipv6(value: str) -> bool:
    try:
        address = ipaddress.IPv6Address(value)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified) and len(value) > 6 and any(map(str.isdigit, value))  # noqa: PLR2004


def _handle(value: str) -> bool:
    return value.lower() not in _NO_HANDLES


def _marked_handle(value: str) -> bool:
    return _handle(value) and ("_" in value or any(map(str.isdigit, value)))


CONTACTS: Final = (
    Shape(
        Kind.IP,
        re.compile(r"[0-9](?<![\w.][0-9])[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?!\.?[0-9]|/[0-9]|[A-Za-z_-])"),
        "вход с ⟦185.217.183.237⟧",
        gate=(".",),
        digits=4,
        check=_ipv4,
        unless=(
            "верси",
            "окпд",
            "оквэд",
            "обнов",
            "конфигурац",
            "платформ",
            "драйвер",
            "откат",
            "патч",
            "patch",
            "update",
            "upgrade",
            "version",
            "ver.",
            "build",
            "релиз",
            "сборк",
            "release",
            "firmware",
            "прошивк",
            "п. ",
            "пункт",
        ),
        rank=57,
    ),
    Shape(
        Kind.IP,
        re.compile(r"[0-9](?<![\w.][0-9])[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?!\.?[0-9]|/[0-9]|[A-Za-z_-])"),
        "ping ⟦8.8.8.8⟧",
        gate=("ping", "ip", "айпи", "dns", "ssh", "host", "хост", "traceroute"),
        digits=4,
        check=_ipv4_beside_its_name,
        near=("ping", "ip ", "ip:", "ip=", "ip-", "айпи", "dns", "ssh", "host", "хост", "traceroute"),
        reach=16,
        rank=56,
    ),
    Shape(
        Kind.IP,
        re.compile(r"[0-9a-f](?<![\w:.].)[0-9a-f]{0,3}(?::{1,2}[0-9a-f]{1,4}){2,7}(?![\w:.])"),
        "host ⟦2001:db8:85a3::8a2e:370:7334⟧",
        gate=(":",),
        digits=2,
        check=_ipv6,
        folded=True,
        rank=57,
    ),
    Shape(
        Kind.HANDLE,
        re.compile(r"@(?<![\w./@]@)([a-z][a-z0-9_.]{3,31})(?![\w@(/])"),
        "мой тг ⟦@anna_k_77⟧".replace("⟦@", "@⟦"),
        gate=("@",),
        near=_MESSENGERS,
        reach=40,
        check=_handle,
        folded=True,
        rank=46,
    ),
    Shape(
        Kind.HANDLE,
        re.compile(r"(?<=[а-я,:;|•·(–—-] )@([a-z][a-z0-9_]{3,31})(?![\w@(/.])"),
        "напиши @⟦anna_k_77⟧",
        gate=(" @",),
        check=_marked_handle,
        folded=True,
        rank=45,
    ),
    Shape(
        Kind.HANDLE,
        re.compile(r"@(?<![^\n]@)([a-z][a-z0-9_]{3,31})(?=[, ]{1,2}[а-я])"),
        "@⟦olga_design88⟧ посмотри",
        gate=("@",),
        check=_marked_handle,
        folded=True,
        rank=45,
    ),
    Shape(
        Kind.HANDLE,
        re.compile(r"(?:скайпе?|skype)[ :—-]{1,4}(?:live:)?([a-z][a-z0-9_.,-]{4,31})"),
        "скайп ⟦live.petrov77⟧",
        gate=("скайп", "skype"),
        folded=True,
        rank=45,
    ),
    Shape(
        Kind.HANDLE,
        re.compile(
            r"(?:t\.me|telegram\.me|vk\.com|instagram\.com|facebook\.com|ok\.ru/profile|linkedin\.com/in"
            r"|wa\.me|x\.com|twitter\.com|github\.com)/(?:@|\+)?([a-z0-9_.-]{3,40}[a-z0-9_-])"
        ),
        "https://t.me/⟦ivan_petroff88⟧",
        gate=(
            "t.me/",
            "telegram.me/",
            "vk.com/",
            "instagram.com/",
            "facebook.com/",
            "ok.ru/",
            "linkedin.com/in/",
            "wa.me/",
        ),
        check=lambda value: value not in ("share", "login", "docs"),
        folded=True,
        rank=47,
    ),
    Shape(
        Kind.PLATE,
        re.compile(r"[АВЕКМНОРСТУХ](?<!\w.)[0-9]{3}[АВЕКМНОРСТУХ]{2}[ |]?[0-9]{2,3}(?!\w)"),
        "машина ⟦К873МК799⟧",
        digits=5,
        rank=48,
    ),
    Shape(
        Kind.PLATE,
        re.compile(_LETTER + r"(?<!\w.) ?[0-9]{3} ?" + _LETTER + r"{2} ?[|/]? ?[0-9]{2,3}(?:rus)?(?!\w)"),
        "номер машины ⟦к 873 мк 799⟧",
        gate=("авто", "машин", "номер", "г/н", "гос", "тс", "грз", "г.н", "г. н", "пропуск", "plate", "car"),
        digits=5,
        near=(
            "авто",
            "машин",
            "номер",
            "г/н",
            "гос",
            "тс",
            "грз",
            "г.н",
            "г. н",
            "пропуск",
            "plate",
            "car",
            "toyota",
            "lada",
            "лада",
            "kia",
            "bmw",
            "газель",
            "прицеп",
            "тягач",
        ),
        reach=60,
        folded=True,
        rank=47,
    ),
    Shape(
        Kind.PLATE,
        re.compile(_LETTER + r"(?<!\w.)" + _LETTER + r" ?[0-9]{4} ?[0-9]{2,3}(?!\w)"),
        "прицеп ⟦АВ 1234 77⟧",
        gate=("прицеп", "номер", "тягач", "мотоцикл"),
        digits=6,
        near=("прицеп", "номер", "тягач", "мотоцикл"),
        reach=40,
        folded=True,
        rank=46,
    ),
    Shape(
        Kind.PLATE,
        re.compile(r"[авекмнорстух](?<!\w.)[0-9]{3}[авекмнорстух]{2}[0-9]{2,3}(?!\w)"),
        "это ⟦к873мк799⟧",
        digits=5,
        folded=True,
        rank=46,
    ),
)
