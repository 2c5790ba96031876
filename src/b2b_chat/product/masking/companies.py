"""Names of companies in quotation marks after their legal form."""

import re
from collections.abc import Iterator
from typing import Final

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.spans import Span
from b2b_chat.product.masking.text import Text

RANK: Final = 40
_LATIN_FORMS: Final = frozenset(("llc", "ltd", "inc", "gmbh", "corp", "plc", "s.a.", "b.v."))
_LONGEST_LATIN: Final = 110
_LATIN: Final = re.compile(
    r"(?<![\w&-])[A-Z][\w&'-]{1,24}(?:[ ][A-Z][\w&'-]{0,24}){0,3},?[ ]"
    r"(?:LLC|Ltd|Inc|GmbH|Corp|PLC|S\.A\.|B\.V\.)(?!\w)\.?"
)
FORMS: Final = frozenset(
    (
        *(
            "ооо",
            "оао",
            "зао",
            "пао",
            "нао",
            "тоо",
            "одо",
            "ано",
            "нко",
            "фгуп",
            "гуп",
            "муп",
            "гбу",
            "мбу",
            "спк",
            "кфх",
            "тсж",
            "снт",
            "нпо",
            "чоп",
        ),
        *_LATIN_FORMS,
        *("общество с ограниченной ответственностью", "акционерное общество"),
    )
)
_NAME: Final = re.compile(
    r"[ \u00a0]{0,3}(?:[А-ЯЁ]{2,6}[ \u00a0])?(?:«[^«»\n]{1,80}(?:«[^«»\n]{1,60}»)?[^«»\n]{0,40}»"
    r"|\"[^\"\n]{1,80}\"|“[^“”\n]{1,80}”|„[^„“”\n]{1,80}[“”])"
)
_AO: Final = re.compile(r"\bАО\b")


def companies(text: Text) -> Iterator[Span | None]:
    """Yield the companies of a text: they are requisites, and their names are not people's names."""
    raw = text.raw
    yield from _latin(text)
    if not any(mark in raw for mark in '«"“„'):
        return
    found = {form: text.found[form] for form in FORMS.intersection(text.found)}
    if "АО" in raw:
        found["ао"] = [match.start() for match in _AO.finditer(raw)]
    for form, starts in found.items():
        for start in starts:
            match = _NAME.match(raw, start + len(form))
            if match is not None and not raw[start - 1 : start].isalpha() and raw[start].isupper():
                yield Span(start, match.end(), Kind.COMPANY, RANK)


def _latin(text: Text) -> Iterator[Span | None]:
    """Yield names in Latin letters before their legal form, and None for forms without one."""
    raw, found, free = text.raw, text.found, 0
    for start, form in sorted((at, each) for each in found.keys() & _LATIN_FORMS for at in found[each]):
        end = start + len(form)
        if raw[start].isupper() and raw[start - 1 : start] == " " and not raw[end : end + 1].isalnum():
            named = _LATIN.search(raw, max(start - _LONGEST_LATIN, free), end + 1)
            free = end
            yield None if named is None else Span(*named.span(), Kind.COMPANY, RANK - 15)
