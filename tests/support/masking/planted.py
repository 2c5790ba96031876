"""A canary of every kind for every path of a message, so that a hit names both, and the search for them."""

import json
from itertools import chain
from random import Random
from typing import Final

from b2b_chat.product.masking.kinds import Kind
from support.canaries.values import Canaries, forms_of
from support.masking.second_slots import MAKERS
from support.masking.second_values import WORD, Values

SENTENCES: Final = {
    Kind.PERSON: "Договор подписал ⟦{name}ов Аркадий Львович⟧.",
    Kind.NAME: "Передай ⟦{name}енко⟧, что всё готово.",
    Kind.BIRTHDATE: "Дата рождения ⟦{date}⟧.",
    Kind.ADDRESS: "Доставка: ⟦г. Тверь, ул. Лесная, д. {house}, кв. {flat}⟧.",
    Kind.PASSPORT: "Паспорт ⟦{passport}⟧.",
    Kind.LICENCE: "Водительское удостоверение ⟦{vu}⟧.",
    Kind.SNILS: "СНИЛС ⟦{snils}⟧.",
    Kind.OMS: "Полис ОМС ⟦{oms}⟧.",
    Kind.INN: "ИНН ⟦{inn12}⟧.",
    Kind.OGRNIP: "ОГРНИП ⟦{ogrnip}⟧.",
    Kind.PLATE: "Госномер ⟦{plate}⟧.",
    Kind.EMAIL: "Пишите на ⟦{login}@kanareyka.example.com⟧.",
    Kind.PHONE: "Телефон ⟦{phone}⟧.",
    Kind.HANDLE: "Телеграм @⟦{login}⟧.",
    Kind.IP: "Вход с ⟦{ip}⟧.",
    Kind.CARD: "Карта ⟦{cardn}⟧.",
    Kind.ACCOUNT: "Р/с ⟦{acc}⟧.",
    Kind.IBAN: "IBAN ⟦{iban}⟧.",
    Kind.WALLET: "ETH ⟦{eth}⟧.",
    Kind.SECRET: "Ключ ⟦{s:ghp}⟧.",
    Kind.ORGINN: "Поставщик, ИНН ⟦{inn10}⟧.",
    Kind.KPP: "КПП ⟦{kpp9}⟧.",
    Kind.OGRN: "ОГРН ⟦{ogrn}⟧.",
    Kind.BIK: "БИК ⟦{bik9}⟧.",
    Kind.COMPANY: "Поставщик ООО «⟦{name}ная Артель⟧».",
    Kind.TERM: "Как идёт ⟦проект {term}⟧?",
}
"""A sentence for each kind; the value is between ⟦ and ⟧."""
_STEMS: Final = (
    "Канарейк Снегир Щегл Чижик Дроздов Синицын Воробь Журавл Аистов Кречет Соколов Ястреб Филин Сорокин Грачев".split()  # noqa: SIM905 - reads best as a line
)


class Plants:
    """The canaries of one path."""

    def __init__(self, path: str, number: int) -> None:
        self.path = path
        values = Values(Random(f"masking canaries {path}"))
        own = {
            "name": _STEMS[number],
            "house": str(11 + number),
            "flat": str(301 + number),
            "date": f"{11 + number}.03.{1961 + number}",
            "login": f"kanareyka_{values.some(WORD, 6).lower()}_{number}",
            "phone": values.filled("+7916#######"),
            "kpp9": values.filled("7704#####"),
            "bik9": values.filled("0445#####"),
            "term": f"{_STEMS[number].lower()}-{values.filled('####')}",
        }
        self.values: dict[Kind, str] = {}
        sentences = []
        for kind, sentence in SENTENCES.items():
            for slot in (*own, *MAKERS):
                if f"{{{slot}}}" in sentence:
                    sentence = sentence.replace(f"{{{slot}}}", own[slot] if slot in own else MAKERS[slot][1](values))  # noqa: PLW2901
            before, _, rest = sentence.partition("⟦")
            value, _, after = rest.partition("⟧")
            self.values[kind] = value
            sentences.append(before + value + after)
        self.text = "\n".join(sentences)
        """A text with all of them."""

    @property
    def term(self) -> str:
        """The company's own word among them."""
        return self.values[Kind.TERM]


def found_in(written: bytes, plants: list[Plants]) -> list[tuple[str, str]]:
    """Return path and kind of every canary in some bytes, whatever form it is written in."""
    hits = []
    for plant in plants:
        for kind, value in plant.values.items():
            canaries = Canaries()
            canaries.add(kind.value, value)
            if any(form in written for form in set(forms_of(value).values())) and canaries.hits(written):
                hits.append((plant.path, kind.value))
    return hits


def strings_of(body: bytes) -> bytes:
    """Return every text in a JSON body as it is read, beside the body as it was sent: escapes hide nothing."""
    try:
        value = json.loads(body)
    except ValueError:
        return body
    return body + b"\n" + "\n".join(_strings(value)).encode()


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return list(chain.from_iterable(map(_strings, (*value.keys(), *value.values()))))
    return list(chain.from_iterable(map(_strings, value))) if isinstance(value, list) else []
