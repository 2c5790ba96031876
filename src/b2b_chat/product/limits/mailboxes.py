"""The mailbox and the domain of an address, for limits, so that one person has one limit.

Everywhere else addresses stay as they are. Two people whose addresses fold to one name share a limit and nothing more,
so folding too much does less harm than folding too little.
"""

from typing import Final

_DOTS: Final = str.maketrans("", "", ".")
_DOTS_AND_HYPHENS: Final = str.maketrans("", "", ".-")
_ALL_MARKS: Final = str.maketrans("", "", ".-_")
_SAME_MAILBOX: Final = {
    "googlemail.com": "gmail.com",
    "ya.ru": "yandex.ru",
    "yandex.com": "yandex.ru",
    "yandex.by": "yandex.ru",
    "yandex.kz": "yandex.ru",
    "yandex.ua": "yandex.ru",
    "narod.ru": "yandex.ru",
    "me.com": "icloud.com",
    "mac.com": "icloud.com",
    "protonmail.com": "proton.me",
    "protonmail.ch": "proton.me",
    "pm.me": "proton.me",
}
"""Domains under which a provider delivers to the same mailbox."""
_IGNORED: Final = {"gmail.com": _DOTS, "yandex.ru": _DOTS_AND_HYPHENS, "proton.me": _ALL_MARKS}
"""The characters that a provider ignores in a mailbox's name."""
_PUBLIC: Final = frozenset(
    {
        *_SAME_MAILBOX,
        *_SAME_MAILBOX.values(),
        *("mail.ru", "inbox.ru", "list.ru", "bk.ru", "internet.ru", "vk.com", "rambler.ru", "lenta.ru", "ro.ru"),
        *("outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "aol.com", "gmx.de", "gmx.net", "web.de"),
        *("fastmail.com", "zoho.com", "qq.com", "163.com", "126.com"),
    }
)
"""Public providers, whose mailboxes belong to unrelated people."""


def mailbox_of(email: str) -> str:
    """Return the name under which a canonical address's mailbox is limited.

    A sub-address (`name+anything`) is its mailbox's; for well-known providers, so are the spellings that they ignore.
    """
    name, _, domain = email.rpartition("@")
    domain = _SAME_MAILBOX.get(domain, domain)
    # "+x@example.com" has nothing before the mark, and is a name like any other.
    name = name.partition("+")[0] or name
    return f"{name.translate(_IGNORED.get(domain, {})) or name}@{domain}"


def limited_domain_of(email: str) -> str | None:
    """Return the domain of a canonical address if its mailboxes are one owner's; None for a well-known provider."""
    domain = email.rpartition("@")[2]
    return None if domain in _PUBLIC else domain
