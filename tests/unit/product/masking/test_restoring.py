import json
import os
import re

import pytest

from b2b_chat.product.masking.cases import Case
from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.masks import Mask, Values
from b2b_chat.product.masking.restoring import Restorer, restored
from b2b_chat.product.masking.tokens import LONGEST
from support.masking.mutants import MUTANTS, applied
from support.masking.streams import HOSTS, VALUES, first_fault

SEED = int(os.environ.get("MASKING_SEED", "20261201"))
STREAMS = int(os.environ.get("MASKING_STREAMS", "4000"))


def make() -> Restorer:
    return Restorer(VALUES, hosts=HOSTS)


def values(**texts: str) -> Values:
    made = Values()
    for kind, text in texts.items():
        made.learn(text, [Mask(0, len(text), Kind(kind), 1)])
    return made


IVAN = values(PERSON="Иванов Иван", EMAIL="a@b.ru", SECRET='p"a\\s\ns')


def test_every_stream_equals_its_whole_text_and_what_was_expected() -> None:
    assert first_fault(make, SEED, STREAMS) is None, f"MASKING_SEED={SEED} MASKING_STREAMS={STREAMS}"


@pytest.mark.parametrize("name", list(MUTANTS))
def test_the_streams_notice_a_restorer_with(name: str) -> None:
    with applied(MUTANTS[name]) as module:
        assert first_fault(lambda: module.Restorer(VALUES, hosts=HOSTS), SEED, 4000) is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[PERSON_1]", "Иванов Иван"),
        ("[person 1] [Person-1] [PERSON\\_1] \\[PERSON_1\\]", "Иванов Иван Иванов Иван Иванов Иван Иванов Иван"),
        ("[PERSON_1) (PERSON_1] {PERSON_1]", "Иванов Иван Иванов Иван Иванов Иван"),
        ("(PERSON_1) «PERSON_1» PERSON_1.", "(Иванов Иван) «Иванов Иван» Иванов Иван."),
        ("[[PERSON_1]] ([PERSON_1]) C:\\[PERSON_1]", "[Иванов Иван] (Иванов Иван) C:\\Иванов Иван"),
        ("[PERSON_1|дат] [PERSON_1 | genitive]", "Иванов Иван Иванов Иван"),
        ("[PERSON_1]у скажи, [PERSON_1]'а жди", "Иванов Иван скажи, Иванов Иван жди"),
        ("[PERSON_1]овский и [EMAIL_1]ом", "Иванов Ивановский и a@b.ruом"),
        ("[PERSON_2] [PERSON_10] PERSON_10", "[PERSON_2] [PERSON_10] PERSON_10"),
        ("MYPERSON_1 PERSON_1x PERSON_1_2 person_1", "MYPERSON_1 PERSON_1x PERSON_1_2 person_1"),
        ("[PERSON_01] [PERSON1] [PERSON]", "[PERSON_01] [PERSON1] [PERSON]"),
        ("[PERSON_1", "[Иванов Иван"),
        ("[1] (см. [x]) \\[", "[1] (см. [x]) \\["),
        ("", ""),
    ],
)
def test_tolerant_and_never_greedy(text: str, expected: str) -> None:
    assert restored(text, IVAN) == expected


def test_unknown_numbers_stay_and_are_counted() -> None:
    restorer = Restorer(IVAN)
    assert restorer.feed("[PERSON_1] [PERSON_7] PHONE_2 ") + restorer.end() == "Иванов Иван [PERSON_7] PHONE_2 "
    assert restorer.unknown == 2
    assert restorer.masks == [Mask(0, 11, Kind.PERSON, 1)]


def test_a_restored_value_is_not_read_again() -> None:
    tricky = values(PERSON="[EMAIL_1]", EMAIL="a@b.ru")
    assert restored("[PERSON_1]", tricky) == "[EMAIL_1]"


def test_text_without_tokens_passes_at_once_and_whole() -> None:
    restorer = Restorer(IVAN)
    for delta in ("Привет", ", как", " дела?", "\n", "ещё строка 12,5 %"):
        assert restorer.feed(delta) == delta


def test_no_more_is_held_than_a_token_is_long() -> None:
    restorer = Restorer(IVAN)
    for piece in ("[", "PERSON", "_", "9" * 3, " | ", "а" * 12, " "):
        restorer.feed(piece)
    assert restorer.feed("x" * 100).endswith("x" * 100)
    long = Restorer(IVAN)
    text = "[(" * 500 + "[PERSON"
    given = "".join(long.feed(char) for char in text)
    assert len(text) - len(given) <= LONGEST
    assert given + long.end() == text


def test_in_json_values_are_escaped_and_the_whole_stays_json() -> None:
    text = '{"who": "[PERSON_1]", "key": "[SECRET_1]", "url": "https://evil.example/[PERSON_1]","next":"[EMAIL_1]"}'
    assert json.loads(restored(text, IVAN, json=True)) == {
        "who": "Иванов Иван",
        "key": 'p"a\\s\ns',
        "url": "https://evil.example/[PERSON_1]",
        "next": "a@b.ru",
    }


def test_in_json_every_cut_gives_the_same_document() -> None:
    text = '{"who": "[PERSON_1]", "key": "\\\\[SECRET_1]\\"", "url": "https://evil.example/[PERSON_1]", "a": ["[EMAIL_1]"]}'
    whole = restored(text, IVAN, json=True)
    assert json.loads(whole)["key"].endswith('\ns"')
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1, 3):
            restorer = Restorer(IVAN, json=True)
            pieces = (text[:first], text[first:second], text[second:])
            assert "".join(map(restorer.feed, pieces)) + restorer.end() == whole


def test_a_case_is_passed_on_to_what_declines() -> None:
    def inflect(value: str, case: Case) -> str:
        return f"{value}<{case}>"

    def declined(text: str) -> str:
        restorer = Restorer(IVAN, inflect=inflect)
        return "".join(map(restorer.feed, text)) + restorer.end()

    assert declined("[PERSON_1|дат]") == "Иванов Иван<datv>"
    assert declined("[PERSON_1]ом доволен") == "Иванов Иван<ablt> доволен"
    assert declined("[PERSON_1|Род.], [PERSON_1|xyz], [EMAIL_1|дат]") == "Иванов Иван<gent>, Иванов Иван, a@b.ru"
    assert re.fullmatch("[a-z]{4}", Case.DATIVE)
