"""People in a row after a label: «Участники: Пономарёв, Гришина и Лапшин»."""

import re
from collections.abc import Iterator
from typing import Final

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.labels import RANK, may_be_name
from b2b_chat.product.masking.lexicon import GIVEN, LEXICON
from b2b_chat.product.masking.spans import Span
from b2b_chat.product.masking.surnames import surname_like
from b2b_chat.product.masking.text import Text, lowered

LISTED: Final = frozenset(
    (
        *("участники", "присутствовали", "приглашены", "ответственные", "состав комиссии", "члены комиссии"),
        *("отсутствовали", "присутствуют", "подписали", "в копии"),
    )
)
_LIST: Final = re.compile(r"[ ]?[:—–-][ ]{0,2}([^\n]{3,300})")
_BETWEEN: Final = re.compile(r"[,;]| и ")
_MOST_PARTS: Final = 4


def listed(text: Text) -> Iterator[Span | None]:
    """Yield the people of «Участники: …», each between two commas."""
    low, found = text.low, text.found
    for label in LISTED.intersection(found):
        for start in found[label]:
            match = _LIST.match(text.raw, start + len(label))
            if match is None or low[start - 1 : start].isalnum():
                yield None
                continue
            position = match.start(1)
            for part in _BETWEEN.split(match.group(1)):
                name = part.strip(" .")
                at = text.raw.index(name, position) if name else position
                words = lowered(name).replace(".", " ").split()
                known = any(LEXICON.get(word, 0) & GIVEN or surname_like(word) for word in words)
                if known and name[0].isupper() and len(words) <= _MOST_PARTS and may_be_name(words):
                    yield Span(at, at + len(name), Kind.PERSON if len(words) > 1 else Kind.NAME, RANK)
                position = at + len(name)
