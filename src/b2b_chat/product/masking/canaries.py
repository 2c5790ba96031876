"""A made-up value of every kind: one that is not found shows that the detector is broken."""

from typing import Final, NamedTuple

from b2b_chat.product.masking.detection import SHAPES
from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.terms import Terms


class CanaryMissed(Exception):
    """The detector does not find a canary."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(f"masking does not find the canary of kind {kind}")
        self.kind = kind


class Canary(NamedTuple):
    """A text and where its value stands."""

    kind: Kind
    text: str
    start: int
    end: int
    terms: Terms


_NO_TERMS: Final = Terms(())


def canary(kind: Kind, marked: str, terms: Terms = _NO_TERMS) -> Canary:
    """Make a canary of a text whose value is between ⟦ and ⟧."""
    before, _, rest = marked.partition("⟦")
    value, _, after = rest.partition("⟧")
    return Canary(kind, before + value + after, len(before), len(before) + len(value), terms)


CANARIES: Final = (
    *(canary(shape.kind, shape.example) for shape in SHAPES),
    canary(Kind.PERSON, "Договор подписал ⟦Ветров Аркадий Львович⟧ вчера."),
    canary(Kind.PERSON, "Звонил ⟦Ветров А. Л.⟧ по договору."),
    canary(Kind.PERSON, "Please call ⟦Arkadiy Vetrov⟧ today."),
    canary(Kind.NAME, "Передай ⟦Ветрову⟧, что мы готовы."),
    canary(Kind.ADDRESS, "Доставка: ⟦г. Тверь, ул. Лесная, д. 5, кв. 12⟧."),
    canary(Kind.EMAIL, "Пишите на ⟦canary@example.com⟧."),
    canary(Kind.COMPANY, "Поставщик ⟦ООО «Канарейка»⟧."),
    canary(Kind.TERM, "Как идёт ⟦проект Канарейка⟧?", Terms(("проект канарейка",))),
    canary(Kind.TEXT, "Я написал ⟦[PERSON_1]⟧ сам."),
)
"""One for every way in which a value is found; of every kind at least one."""
