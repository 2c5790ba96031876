"""A second evaluation set, written without a look at the rules: `items()` fills templates with values of one seed.

    PYTHONPATH=tests uv run python -m support.masking.second_set second|third|fourth > FILE

The templates are in `tests/data/masking`, in `second`, and in `third` and `fourth`, which have other words again. A line
is `stratum|text`, with slots in braces, `⏎` for a line's end and `⇥` for a tab. A slot is `{m:fio.dat}`: sex or people, form, case. `{kind=text}` labels what it says. Others are in `MAKERS`.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Final

from support.masking.second_people import ENGLISH, Person, somebody, transliterated
from support.masking.second_slots import MAKERS
from support.masking.second_values import Values
from support.masking.texts import Item

SECOND: Final = Path(__file__).parents[2] / "data" / "masking" / "second"
THIRD: Final = SECOND.parent / "third"
SLOT: Final = re.compile(r"\{([^{}\s]+)\}|\{(\w+)=([^{}]+)\}")
FORMS: Final[dict[str, Callable[[Person], str]]] = {
    "fio": lambda p: f"{p.surname} {p.given} {p.father}",
    "gpf": lambda p: f"{p.given} {p.father} {p.surname}",
    "gf": lambda p: f"{p.given} {p.surname}",
    "fg": lambda p: f"{p.surname} {p.given}",
    "gp": lambda p: f"{p.given} {p.father}",
    "foi": lambda p: f"{p.surname} {p.given[0]}. {p.father[0]}.",
    "foi2": lambda p: f"{p.surname} {p.given[0]}.{p.father[0]}.",
    "foi1": lambda p: f"{p.surname} {p.given[0]}.",
    "goi": lambda p: f"{p.given} {p.father} {p.surname[0]}.",
    "iof": lambda p: f"{p.given[0]}.{p.father[0]}. {p.surname}",
    "iofs": lambda p: f"{p.given[0]}. {p.father[0]}. {p.surname}",
    "gfu": lambda p: f"{p.given} {p.surname}".upper(),
    "fgu": lambda p: f"{p.surname} {p.given}".upper(),
    "csvfio": lambda p: f"{p.surname};{p.given};{p.father}",
    "csvlat": lambda p: f"{p.given};{p.surname}",
    "spaced": lambda p: f"{p.surname}  {p.given}   {p.father}",
    "g": lambda p: p.given,
    "f": lambda p: p.surname,
}
PEOPLES: Final = ("ru", "ru", "ru", "ru", "ukr", "kaz", "cau")


def items(seed: int = 18, folder: Path = SECOND, rounds: int = 2) -> Iterator[Item]:
    """Fill every template twice, and give every text that has nothing to mask once."""
    random = Random(seed)
    values = Values(random)
    for line in (folder / "texts.txt").read_text(encoding="utf-8").splitlines():
        stratum, template = line.split("|", 1)
        for _ in range(rounds):
            yield filled(values, stratum, template)
    for line in (folder / "negatives.txt").read_text(encoding="utf-8").splitlines():
        yield Item("negative", line.replace("⏎", "\n"), [])


def filled(values: Values, stratum: str, template: str) -> Item:
    """Put values into a template's slots and note where they are."""
    text, spans, position = "", [], 0
    template = template.replace("⏎", "\n").replace("⇥", "\t")
    for slot in SLOT.finditer(template):
        kind, value = _value(values, slot)
        text += template[position : slot.start()]
        if kind:
            spans.append((len(text), len(text) + len(value), kind))
        text += value
        position = slot.end()
    return Item(stratum, text + template[position:], spans)


def _value(values: Values, slot: re.Match[str]) -> tuple[str, str]:
    name = slot[1] or ""
    if slot[2] or "=" in name:
        kind, value = (slot[2], slot[3]) if slot[2] else name.split("=", 1)
        return kind, value
    if name in MAKERS:
        kind, make = MAKERS[name]
        return kind, make(values)
    if name.startswith(("eng", "csveng")):
        whole = values.random.choice(ENGLISH)
        given, surname = whole.split()
        return {
            "eng": ("person", whole),
            "engs": ("person_part", surname),
            "engg": ("person_part", given),
            "csveng": ("person", f"{given};{surname}"),
        }[name]
    return _person(values.random, name) or ("", slot[0])


def _person(random: Random, name: str) -> tuple[str, str] | None:
    *marks, rest = name.split(":")
    form, *changes = rest.split(".")
    if form not in FORMS:
        return None
    case = next((change for change in changes if change in ("gen", "dat", "acc", "ins", "pre")), "nom")
    sex = next((mark for mark in marks if mark in "mf"), random.choice("mf"))
    people = next((mark for mark in marks if len(mark) > 2 and mark not in ("low", "lat")), random.choice(PEOPLES))
    person = somebody(random, sex, people, case)
    if "lat" in marks or form == "csvlat":
        person = Person(*map(transliterated, person))
    text = FORMS[form](person)
    text = text.lower() if "low" in marks else text.upper() if "up" in changes else text
    text = text.replace(person.surname, person.surname.upper(), 1) if "sup" in changes else text
    text = text.replace(" ", "  ") if "ocr" in changes else text
    return ("person_part" if form in ("g", "f") else "person"), text


if __name__ == "__main__":
    for item in items(folder=SECOND.parent / sys.argv[1]):
        sys.stdout.write(
            json.dumps({"stratum": item.stratum, "text": item.text, "spans": item.spans}, ensure_ascii=False) + "\n"
        )
