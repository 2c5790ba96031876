"""How well a detector does on a file in the corpus's form.

A labelled span is found when every letter and digit of it is covered by spans of whatever kind: what counts is what
would have crossed the border. A detected span is right when most of its letters and digits are labelled.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from b2b_chat.product.masking.detection import Detector
from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.spans import Span
from support.masking.texts import Item

LABELS: Final = {
    Kind.PERSON: "person",
    Kind.NAME: "person_part",
    Kind.BIRTHDATE: "birth_date",
    Kind.ADDRESS: "address",
    Kind.PASSPORT: "passport",
    Kind.LICENCE: "driver_licence",
    Kind.SNILS: "snils",
    Kind.OMS: "oms",
    Kind.INN: "inn",
    Kind.ORGINN: "inn",
    Kind.OGRNIP: "ogrn",
    Kind.OGRN: "ogrn",
    Kind.PLATE: "plate",
    Kind.EMAIL: "email",
    Kind.PHONE: "phone",
    Kind.HANDLE: "telegram",
    Kind.IP: "ip",
    Kind.CARD: "card",
    Kind.ACCOUNT: "bank_account",
    Kind.IBAN: "iban",
    Kind.WALLET: "crypto",
    Kind.SECRET: "secret",
    Kind.KPP: "kpp",
    Kind.BIK: "bik",
    Kind.COMPANY: "company",
}
"""Our kinds by the corpus's names."""
DETECTOR: Final = Detector()
NAMES: Final = frozenset(("person", "person_part"))


class Tally:
    """What was looked for and what was found, of one kind."""

    def __init__(self) -> None:
        self.spans = self.found = self.claimed = self.right = 0

    @property
    def recall(self) -> float:
        return self.found / self.spans if self.spans else 1.0

    @property
    def precision(self) -> float:
        return self.right / self.claimed if self.claimed else 1.0

    def __add__(self, other: "Tally") -> "Tally":
        both = Tally()
        for name in ("spans", "found", "claimed", "right"):
            setattr(both, name, getattr(self, name) + getattr(other, name))
        return both


class Score(NamedTuple):
    """The tallies of a set of texts."""

    kinds: dict[str, Tally]
    negatives_hit: int
    misses: list[str]

    @property
    def all(self) -> Tally:
        return sum(self.kinds.values(), Tally())

    def of(self, kinds: Iterable[str]) -> Tally:
        return sum((self.kinds[kind] for kind in kinds if kind in self.kinds), Tally())


def load(path: Path) -> Iterator[Item]:
    """Read a file in the corpus's form."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            row = json.loads(line)
            yield Item(row.get("stratum", ""), row["text"], [(start, end, kind) for start, end, kind in row["spans"]])


def score(items: Iterable[Item], detect: Callable[[str], Sequence[Span]] = DETECTOR.detect) -> Score:
    """Detect in every text and compare."""
    kinds: defaultdict[str, Tally] = defaultdict(Tally)
    hit, misses = 0, []
    for item in items:
        found = detect(item.text)
        covered = {position for span in found for position in range(span.start, span.end)}
        labelled = {position for start, end, _ in item.spans for position in range(start, end)}
        for start, end, kind in item.spans:
            whole = all(position in covered for position in _letters(item.text, start, end))
            kinds[kind].spans += 1
            kinds[kind].found += whole
            if not whole:
                misses.append(f"missed {kind}: {item.text[start:end]!r} in {item.text!r}")
        wrong = False
        for span in found:
            letters = list(_letters(item.text, span.start, span.end))
            right = 2 * sum(position in labelled for position in letters) >= len(letters)
            tally = kinds[LABELS.get(span.kind, span.kind.lower())]
            tally.claimed += 1
            tally.right += right
            if not right:
                wrong = True
                misses.append(f"wrong {span.kind}: {item.text[span.start : span.end]!r} in {item.text!r}")
        hit += wrong and item.stratum == "negative"
    return Score(dict(kinds), hit, misses)


def _letters(text: str, start: int, end: int) -> Iterator[int]:
    return (position for position in range(start, end) if text[position].isalnum())
