import random

from b2b_chat.product.masking.detection import Detector
from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.terms import AllowList, Terms

DETECTOR = Detector()


def found(text: str, *terms: str) -> list[str]:
    return [text[span.start : span.end] for span in DETECTOR.detect(text, terms=Terms(terms)) if span.kind is Kind.TERM]


def test_terms_are_found_as_whole_words_in_any_case_and_spacing() -> None:
    terms = ("Проект Феникс", "Ёлка-2", "АБ")
    assert found("про ПРОЕКТ  феникс и елка-2, но не проект фениксы", *terms) == ["ПРОЕКТ  феникс", "елка-2"]
    assert found("АБВ и ДАБ, а вот АБ.", *terms) == ["АБ"]
    assert found("проект\nФеникс", *terms) == ["проект\nФеникс"]


def test_a_longer_term_that_ends_inside_a_word_does_not_hide_a_shorter_one() -> None:
    assert found("альфа банкир", "альфа", "альфа банк") == ["альфа"]


def test_five_thousand_terms_are_found_like_one() -> None:
    source = random.Random(1)
    terms = ["".join(source.choice("абвгдежзик") for _ in range(9)) for _ in range(5000)]
    text = " и ".join(terms[:50])
    assert found(text, *terms) == terms[:50]


def test_an_empty_list_finds_nothing() -> None:
    assert found("всё") == []
    assert found("всё", "", "  ") == []


def test_the_allow_list_takes_whole_values_and_no_secrets() -> None:
    allowed = AllowList(["Info@Example.com", "Пётр  Ильич"])
    assert allowed.allows(Kind.EMAIL, "info@example.com")
    assert allowed.allows(Kind.PERSON, "петр ильич")
    assert not allowed.allows(Kind.EMAIL, "my.info@example.com")
    assert not allowed.allows(Kind.SECRET, "info@example.com")
    assert not AllowList().allows(Kind.EMAIL, "")
