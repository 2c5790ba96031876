import re

import pytest

from b2b_chat.product.masking.canaries import CANARIES, canary
from b2b_chat.product.masking.detection import SHAPES, Detector
from b2b_chat.product.masking.kinds import DEFAULTS, GROUP_OF, GROUPS, Kind
from b2b_chat.product.masking.shape import Shape
from b2b_chat.product.masking.tokens import LONGEST

DETECTOR = Detector()


@pytest.mark.parametrize("before", ["", "Добрый день!\n"], ids=["first line", "later line"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.kind}-{shape.example[:30]}")
def test_every_row_of_the_table_finds_its_own_example(shape: Shape, before: str) -> None:
    example = canary(shape.kind, shape.example)
    start, end = len(before) + example.start, len(before) + example.end
    found = DETECTOR.detect(before + example.text)
    assert any(span.kind is shape.kind and span.start <= start and end <= span.end for span in found), found


def test_every_kind_has_a_group_a_default_and_a_canary() -> None:
    assert {kind for kinds in GROUPS.values() for kind in kinds} == set(Kind) == set(GROUP_OF)
    assert set(DEFAULTS) == {group for group in GROUPS if GROUPS[group] != (Kind.TEXT,)}
    assert {canary.kind for canary in CANARIES} == set(Kind)


def test_kinds_are_plain_latin_capitals_that_fit_a_token() -> None:
    for kind in Kind:
        assert re.fullmatch("[A-Z]+", kind)
        assert len(kind) + 38 <= LONGEST


@pytest.mark.parametrize(
    "text",
    [
        "Заказ 79161234567 отгружен, трек-номер 80084512789634.",
        "Артикул 4607034171234, партия 20250314.",
        "Сумма 8 950 123 456 руб.",
        "Версия 10.0.19045.3803, затем 3.11.7.",
        "Паспорт изделия АБВГ.466961.001, бюджет 4510 123456 тыс.",
        "Банковская гарантия № 1234-5678-9012-3457.",
        "Диапазон 192.168.0.0/24, адреса 127.0.0.1 и 0.0.0.0.",
        "Хеш d41d8cd98f00b204e9800998ecf8427e, UUID 550e8400-e29b-41d4-a716-446655440000.",
        "password = os.environ['DB_PASSWORD']",
        "token: string, api_key=settings.API_KEY, pass = None, max_tokens=4096",
        "Пароль должен содержать не менее 12 символов.",
        "Совещание 15.11.2025, компания основана 12.04.1999.",
        "Дата рождения компании — 12.04.1999.",
        "Упоминание @all, @dataclass и @Override.",
        "Кредит 40702/2025-ПС, код ОКВЭД 62.01, ОКПО 12345678.",
        "std::vector<int> a; время 10:15:32; словарь a::b",
    ],
)
def test_what_only_looks_like_a_value_is_left(text: str) -> None:
    assert DETECTOR.detect(text) == []


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("звоните +7 (916) 123-45-67 доб. 12", Kind.PHONE, "+7 (916) 123-45-67 доб. 12"),
        ("тел. 8-800-555-35-35", Kind.PHONE, "8-800-555-35-35"),
        ("тел/факс (3952) 20-30-40", Kind.PHONE, "(3952) 20-30-40"),
        ("из Минска +375 29 123-45-67", Kind.PHONE, "+375 29 123-45-67"),
        ("номер 8 9 1 6 1 2 3 4 5 6 7", Kind.PHONE, "8 9 1 6 1 2 3 4 5 6 7"),
        ("почта иванов@почта.рф", Kind.EMAIL, "иванов@почта.рф"),
        ("ivan.petrov (собака) mail.ru", Kind.EMAIL, "ivan.petrov (собака) mail.ru"),
        ("a.b (at) example (dot) com", Kind.EMAIL, "a.b (at) example (dot) com"),
        ("ИНН/КПП 7707083893/773601001", Kind.KPP, "773601001"),
        ("ИНН/КПП 7707083893/773601001", Kind.ORGINN, "7707083893"),
        ("р/сч 407 02 810 9 3812 3456789", Kind.ACCOUNT, "407 02 810 9 3812 3456789"),
        ("паспорт серии 45 05 № 243147", Kind.PASSPORT, "серии 45 05 № 243147"),
        ("родился 5 декабря 1999 года", Kind.BIRTHDATE, "5 декабря 1999 года"),
        ("ДР 1.2.85", Kind.BIRTHDATE, "1.2.85"),
        ("у него день рождения 7 апреля", Kind.BIRTHDATE, "7 апреля"),
        ("кинь на https://t.me/ivan_petroff88", Kind.HANDLE, "ivan_petroff88"),
        ("номер е 777 кх 150", Kind.PLATE, "е 777 кх 150"),
        ("host fe80::1ff:fe23:4567:890a", Kind.IP, "fe80::1ff:fe23:4567:890a"),
        ("пароль от crm: Zima725@O8W3", Kind.SECRET, "Zima725@O8W3"),
        ("mongodb://app:p@ss/w@host", Kind.SECRET, "p@ss/w"),
        ("пин-код 4821", Kind.SECRET, "4821"),
        ("ООО «Иванов и партнёры» ждёт", Kind.COMPANY, "ООО «Иванов и партнёры»"),
    ],
)
def test_values_in_the_ways_that_people_write_them(text: str, kind: Kind, value: str) -> None:
    assert (kind, value) in [(span.kind, text[span.start : span.end]) for span in DETECTOR.detect(text)]


def test_a_long_number_is_never_cut_into_a_shorter_one() -> None:
    for digits in range(21, 40):
        assert DETECTOR.detect("счёт " + "4" * digits) == []
