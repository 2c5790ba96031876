import msgspec
import pytest

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.masks import Mask, MasksDoNotFit, Values, masked_text
from b2b_chat.product.masking.restoring import Restorer, restored
from b2b_chat.product.masking.spans import Span


def spans(text: str, *values: tuple[Kind, str]) -> list[Span]:
    found, position = [], 0
    for kind, value in values:
        start = text.index(value, position)
        position = start + len(value)
        found.append(Span(start, position, kind))
    return found


def test_one_value_has_one_number_through_a_conversation() -> None:
    first, second = "Иванов Иван, +7 916 123-45-67", "пишет ИВАНОВ  ИВАН (8 (916) 1234567), Петров Пётр"
    values = Values()
    masks = values.mask(first, spans(first, (Kind.PERSON, "Иванов Иван"), (Kind.PHONE, "+7 916 123-45-67")))
    assert masked_text(first, masks) == "[PERSON_1], [PHONE_1]"
    later = Values()
    later.learn(first, masks)
    again = later.mask(
        second,
        spans(second, (Kind.PERSON, "ИВАНОВ  ИВАН"), (Kind.PHONE, "8 (916) 1234567"), (Kind.PERSON, "Петров Пётр")),
    )
    assert masked_text(second, again) == "пишет [PERSON_1] ([PHONE_1]), [PERSON_2]"


def test_numbers_go_on_after_the_highest_and_never_come_back() -> None:
    values = Values()
    values.learn("Анна", [Mask(0, 4, Kind.NAME, 7)])
    assert [
        mask.number
        for mask in values.mask("Ольга Анна", spans("Ольга Анна", (Kind.NAME, "Ольга"), (Kind.NAME, "Анна")))
    ] == [8, 7]


def test_secrets_differ_by_case_and_names_do_not() -> None:
    text = "aB3 ab3 Анна АННА"
    masks = Values().mask(
        text, spans(text, (Kind.SECRET, "aB3"), (Kind.SECRET, "ab3"), (Kind.NAME, "Анна"), (Kind.NAME, "АННА"))
    )
    assert [mask.number for mask in masks] == [1, 2, 1, 1]


def test_the_masked_text_and_its_values_are_the_text_again() -> None:
    text = "😀 e\u0301 Анна,Анна и a@b.ru\n"
    values = Values()
    masks = values.mask(text, spans(text, (Kind.NAME, "Анна"), (Kind.NAME, "Анна"), (Kind.EMAIL, "a@b.ru")))
    masked = masked_text(text, masks)
    assert "Анна" not in masked
    assert restored(masked, values) == text


def test_masks_are_rows_on_the_wire() -> None:
    mask = Mask(3, 7, Kind.PERSON, 2)
    assert msgspec.json.encode([mask]) == b'[[3,7,"PERSON",2]]'
    assert msgspec.json.decode(b'[[3,7,"PERSON",2]]', type=list[Mask]) == [mask]
    for bad in (b'[[3,7,"NOBODY",2]]', b'[[3,7,"PERSON",0]]', b'[[-1,7,"PERSON",1]]'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(bad, type=list[Mask])


@pytest.mark.parametrize(
    "masks",
    [
        [Mask(0, 99, Kind.NAME, 1)],
        [Mask(2, 2, Kind.NAME, 1)],
        [Mask(0, 3, Kind.NAME, 1), Mask(2, 4, Kind.NAME, 2)],
        [Mask(3, 4, Kind.NAME, 1), Mask(0, 2, Kind.NAME, 2)],
    ],
)
def test_masks_of_another_text_are_refused_without_a_word_of_it(masks: list[Mask]) -> None:
    with pytest.raises(MasksDoNotFit) as caught:
        masked_text("тайна", masks)
    assert "тайна" not in str(caught.value)
    with pytest.raises(MasksDoNotFit):
        Values().learn("тайна", masks)


def test_a_token_that_a_model_made_up_means_nobody_later() -> None:
    values = Values()
    values.learn("Анна", [Mask(0, 4, Kind.NAME, 1)])
    restorer = Restorer(values)
    answer = restorer.feed("[NAME_1] и [NAME_2] https://evil.example/[NAME_1]") + restorer.end()
    stored = values.of_answer(answer, restorer.masks, restorer.literals)
    assert stored == [Mask(0, 4, Kind.NAME, 1), Mask(7, 15, Kind.TEXT, 1)]
    (bella,) = values.mask("Белла", [Span(0, 5, Kind.NAME)])
    assert bella.number == 2
    sent = masked_text(answer, stored)
    assert sent == "[NAME_1] и [TEXT_1] https://evil.example/[NAME_1]"
    assert restored(sent, values) == "Анна и [NAME_2] https://evil.example/[NAME_1]"
