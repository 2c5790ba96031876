"""One form for one mailbox."""

# ruff: noqa: RUF001 - Russian looks like that

import pytest

from b2b_chat.product.identity.addresses import AddressNotSupported, canonical, searched


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("Ann@Example.TEST", "ann@example.test"),
        ("user@пример.рф", "user@xn--e1afmkfd.xn--p1ai"),
        ("User@ПРИМЕР.РФ", "user@xn--e1afmkfd.xn--p1ai"),
        ("user@XN--E1AFMKFD.xn--p1ai", "user@xn--e1afmkfd.xn--p1ai"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("a@bu\u0308cher.example", "a@xn--bcher-kva.example"),
        ("a@straße.example", "a@xn--strae-oqa.example"),
        ("a@例え.テスト", "a@xn--r8jz45g.xn--zckzah"),
        ("a@例え。テスト", "a@xn--r8jz45g.xn--zckzah"),
        ("o'neil+tag@a-b.example", "o'neil+tag@a-b.example"),
    ],
)
def test_the_form(address: str, form: str) -> None:
    assert canonical(address) == form
    assert canonical(form) == form


UNREACHABLE = [
    "анна@example.test",
    "é@example.test",
    "a@\u200b.test",
    "a@-пример.рф",
    "a@при\u202eмер.рф",
    "@пример.рф",
]
UNREACHABLE += ["a@" + "я" * 64 + ".рф", "a@" + ".".join(["пример"] * 40), "a@б..рф", "a@☺\ufe0f\u200d.рф"]


@pytest.mark.parametrize("address", UNREACHABLE, ids=ascii)
def test_what_cannot_be_mailed(address: str) -> None:
    with pytest.raises(AddressNotSupported):
        canonical(address)


@pytest.mark.parametrize(
    ("part", "form"),
    [
        ("user@пример.рф", "user@xn--e1afmkfd.xn--p1ai"),
        ("Пример.рф", "xn--e1afmkfd.xn--p1ai"),
        ("ann", "ann"),
        ("ann@", "ann@"),
        ("%_", "%_"),
        ("\u200b", "\u200b"),
    ],
)
def test_what_is_searched(part: str, form: str) -> None:
    assert searched(part) == form
