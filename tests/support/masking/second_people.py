"""People of the second evaluation set, in every case and form in which texts name them.

Their names are other than the corpus's. The declension is this module's own: it shares nothing with the detector's.
"""

from random import Random
from typing import Final, NamedTuple

MALE: Final = {
    "ru": "Арсений Глеб Родион Станислав Эдуард Тарас Святослав Вячеслав Геннадий Валентин Савелий Захар Павел Пётр",
    "ukr": "Тарас Остап Назар Мирослав Панас",
    "kaz": "Нурлан Ерлан Айдар Бауыржан Данияр Санжар",
    "cau": "Тигран Заур Магомед Гиорги Эльдар Арсен Ибрагим",
    "for": "Клаус Жан Томаш Хуан Джеймс",
}
FEMALE: Final = {
    "ru": "Жанна Алла Раиса Милана Злата Тамара Инга Эльвира Василиса Снежана Зинаида Антонина Евгения Лилия",
    "ukr": "Оксана Леся Соломия Богдана",
    "kaz": "Айгерим Динара Гульмира Жанар Асель",
    "cau": "Карине Мадина Патимат Нана Лейла Заира",
    "for": "Ингрид Моника Джессика Хелена",
}
SURNAMES: Final = {
    "ru": "Жуков Рыбаков Лаптев Сухоруков Дубровский Осинцев Веденин Кудряшов Долгих Седых Полторацкий Корень Сорока "
    "Чередник Безбородов Тютин Щукин Пищальников",
    "ukr": "Стеценко Бойко Мельничук Савчук Гриценко Чумак Кучма Загородний",
    "kaz": "Оразбаев Нурпеисов Сулейменов Жумабаев Касымов Ибраев",
    "cau": "Мкртчян Арутюнян Гогоберидзе Кварацхелия Джафаров Исмаилов Хасбулатов Чхеидзе",
    "for": "Гельман Шульц Вебер Крюгер Пак Тен Нгуен Берг Новак",
}
FATHERS: Final = {
    "ru": "Арсеньевич Глебович Станиславович Геннадьевич Валентинович Захарович Павлович Ильич Никитич Аркадьевич",
    "ukr": "Тарасович Остапович Богданович Романович",
    "kaz": "Нурланович Ерланович Сакенович Маратович",
    "cau": "Магомедович Тигранович Гиевич Ибрагимович Заурович",
    "for": "Карлович Робертович Эдуардович",
}
FIRSTS: Final = ["Мельникова-Берг", "Сухово-Дубровин", "Петренко-Лаптев", "Кара-Мурза", "Орлов-Седых", "Тер-Арутюнян"]
ENGLISH: Final = [
    "Rebecca Turner",
    "Oliver Bennett",
    "Charlotte Hughes",
    "Daniel Fischer",
    "Sophie Laurent",
    "William Parker",
    "Priya Sharma",
    "Liam Murphy",
    "Marta Kowalska",
    "Hannah Becker",
    "Diego Alvarez",
    "Grace Mitchell",
]
LATIN: Final = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюяұ",
        "a b v g d e e zh z i y k l m n o p r s t u f kh ts ch sh shch _ y _ e yu ya u".replace("_", "").split(" "),
        strict=True,
    )
)
CASES: Final = ("nom", "gen", "dat", "acc", "ins", "pre")


class Person(NamedTuple):
    """Surname, given name and patronymic in one case."""

    surname: str
    given: str
    father: str


def somebody(random: Random, sex: str, people: str, case: str) -> Person:
    """Return one person of this sex, of the people whose names it has, in this case."""
    hyphenated = people == "hyp"
    group = "ru" if hyphenated else "for" if people == "for2" else people
    given = random.choice((MALE if sex == "m" else FEMALE)[group].split())
    father = random.choice(FATHERS[group].split())
    surname = random.choice(FIRSTS if hyphenated else SURNAMES[group].split())
    female = sex == "f"
    if female:
        father = {"Ильич": "Ильинична", "Никитич": "Никитична"}.get(father, father.removesuffix("ич") + "на")
    return Person(
        "-".join(_surname(part, female, case) for part in surname.split("-")),
        _given(given, female, case),
        _father(father, female, case),
    )


def transliterated(word: str) -> str:
    """Write a Russian word in Latin letters."""
    written = "".join(LATIN.get(letter.lower(), letter) for letter in word)
    return "-".join(part[:1].upper() + part[1:] for part in written.split("-"))


def _ending(stem: str, endings: str, case: str) -> str:
    return stem + endings.split()[CASES.index(case)].replace("_", "")


def _noun(word: str, female: bool, case: str) -> str:
    last, stem = word[-1], word[:-1]
    hissing = stem[-1:] in "гкхжчшщ"
    if word.endswith("ия"):
        return _ending(stem, "я и и ю ей и", case)
    if last == "я":
        return _ending(stem, "я и е ю ей е", case)
    if last == "а":
        return _ending(stem, "а и е у ой е" if hissing else "а ы е у ой е", case)
    if female or last in "еёиоуыэю":
        return word
    if word.endswith("ий"):
        return _ending(stem, "й я ю я ем и", case)
    if last in "йь":
        return _ending(stem, f"{last} я ю я ем е", case)
    return _ending(word, "_ а у а ом е", case)


def _given(word: str, female: bool, case: str) -> str:
    if case != "nom" and word in ("Павел", "Пётр"):
        word = {"Павел": "Павл", "Пётр": "Петр"}[word]
    return _noun(word, female, case)


def _father(word: str, female: bool, case: str) -> str:
    return _noun(word, female, case) if female else _ending(word, "_ а у а ем е", case)


def _surname(word: str, female: bool, case: str) -> str:
    if word.endswith(("их", "ых", "ко")) or word in ("Кара", "Тер"):
        return word
    if word.endswith(("ский", "цкий", "ний")):
        soft = word.endswith("ний")
        if female:
            return _ending(word[:-2], "яя ей ей юю ей ей" if soft else "ая ой ой ую ой ой", case)
        return _ending(word[:-2], "ий его ему его им ем" if soft else "ий ого ому ого им ом", case)
    if word.endswith(("ов", "ев", "ин")):
        return _ending(word, "а ой ой у ой ой" if female else "_ а у а ым е", case)
    return _noun(word, female, case)
