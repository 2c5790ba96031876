"""Once named, always known: a surname alone, in any case, in a later turn."""

import pytest

from b2b_chat.product.masking.detection import Detector

DETECTOR = Detector()

# Nominative, full name, and the surname in the other five cases.
PEOPLE = (
    ("Морозов Игорь Львович", "Морозов Морозова Морозову Морозова Морозовым Морозове"),
    ("Лебедева Анна Сергеевна", "Лебедева Лебедевой Лебедевой Лебедеву Лебедевой Лебедевой"),
    ("Ковальчук Тарас Ильич", "Ковальчук Ковальчука Ковальчуку Ковальчука Ковальчуком Ковальчуке"),
    ("Трубецкая Вера Павловна", "Трубецкая Трубецкой Трубецкой Трубецкую Трубецкой Трубецкой"),
    ("Вишневский Олег Юрьевич", "Вишневский Вишневского Вишневскому Вишневского Вишневским Вишневском"),
    ("Кравец Иван Фомич", "Кравец Кравца Кравцу Кравца Кравцом Кравце"),
    ("Бондарь Илья Петрович", "Бондарь Бондаря Бондарю Бондаря Бондарем Бондаре"),
    ("Дзюба Семён Иванович", "Дзюба Дзюбы Дзюбе Дзюбу Дзюбой Дзюбе"),
    ("Ким Алексей Андреевич", "Ким Кима Киму Кима Кимом Киме"),
    ("Черных Юрий Глебович", "Черных Черных Черных Черных Черных Черных"),
    ("Шевченко Мария Ивановна", "Шевченко Шевченко Шевченко Шевченко Шевченко Шевченко"),
    ("Саакян Егор Рубенович", "Саакян Саакяна Саакяну Саакяна Саакяном Саакяне"),
    ("Мюллер Максим Карлович", "Мюллер Мюллера Мюллеру Мюллера Мюллером Мюллере"),
    ("Гогоберидзе Нино Вахтанговна", "Гогоберидзе Гогоберидзе Гогоберидзе Гогоберидзе Гогоберидзе Гогоберидзе"),
    ("Штерн Анна Марковна", "Штерн Штерн Штерн Штерн Штерн Штерн"),
    ("Салтыков-Щедрин Лев Ильич", "Салтыков-Щедрин Салтыкова-Щедрина Салтыкову-Щедрину Салтыкова-Щедрина Салтыковым-Щедриным Салтыкове-Щедрине"),
    ("Коваль Пётр Петрович", "Коваль Коваля Ковалю Коваля Ковалем Ковале"),
    ("Заболотный Роман Игоревич", "Заболотный Заболотного Заболотному Заболотного Заболотным Заболотном"),
    ("Пушкин Денис Олегович", "Пушкин Пушкина Пушкину Пушкина Пушкиным Пушкине"),
    ("Живаго Юрий Андреевич", "Живаго Живаго Живаго Живаго Живаго Живаго"),
)  # fmt: skip
CASES = [(full, form) for full, forms in PEOPLE for form in dict.fromkeys(forms.split())]


def hidden(text: str, *named: str) -> list[str]:
    return [text[span.start : span.end] for span in DETECTOR.detect(text, named=named)]


def test_nearly_every_form_of_a_known_surname_is_found_in_a_later_turn() -> None:
    missed = [
        form for full, form in CASES if form not in hidden(f"По этому вопросу {form} в курсе, остальное позже.", full)
    ]
    assert len(missed) <= len(CASES) * 13 // 163, missed


@pytest.mark.parametrize(("full", "form"), CASES[:20])
def test_a_surname_is_known_from_any_form_of_it(full: str, form: str) -> None:
    oblique = full.split(maxsplit=1)[0]
    assert oblique in hidden(f"Вопрос решит {oblique}, а не склад.", f"{form} {full.partition(' ')[2]}")


def test_it_is_known_in_the_same_text_before_and_after() -> None:
    text = "Зайцевский ждал. Зарубин Пётр Ильич приехал, а потом Зарубину вернули деньги."
    assert "Зарубину" in hidden(text)


def test_lower_case_is_enough_only_for_what_is_surely_a_surname() -> None:
    assert hidden("а что сказал голубеву склад?", "Голубев Илья Ильич") == ["голубеву"]
    assert hidden("черных металлов отгружено 120 т, белых листов 15", "Черных Анна Ильинична", "Белых Олег Ильич") == []
    assert hidden("мороз крепчает", "Мороз Олег Ильич") == []


def test_without_having_been_named_nobody_is_known() -> None:
    assert hidden("По этому вопросу Бондарь в курсе.") == []


def test_words_of_a_known_value_that_are_no_surname_teach_nothing() -> None:
    assert hidden("Новый Директор и Отдел продаж", "Директор Отдел") == []
