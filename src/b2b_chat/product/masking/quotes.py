"""Names in quotation marks that are titles: «Александр Невский», кафе «У Ашота», тариф "Максим"."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from b2b_chat.product.masking.text import Text

_QUOTED: Final = re.compile(r"[«“„]([^«»“”„\n]{1,60})[»”“]|\"([^\"\n]{1,60})\"")
_LONGEST_TITLE: Final = 4
_BEFORE: Final = 24
_TITLED: Final = re.compile(
    r"(?:ооо|о?ао|зао|пао|нао|ип|тоо|тариф\w*|проект\w*|кафе|ресторан\w*|фильм\w*|книг\w*|роман\w*|опер\w*"
    r"|балет\w*|спектакл\w*|сериал\w*|песн\w*|"
    r"корабл\w*|теплоход\w*|ледокол\w*|поезд\w*|отел\w*|гостиниц\w*|магазин\w*|тц|трц|жк|бц|клуб\w*|школ\w*"
    r"|преми\w*|фонд\w*|бренд\w*|марк\w*|"
    r"станци\w*|метро|банк\w*|групп\w*|компани\w*|фирм\w*|завод\w*|фабрик\w*|агентств\w*|салон\w*|театр\w*"
    r"|вин\w*|сыр\w*|торт\w*|конфет\w*|программ\w*|"
    r"систем\w*|модел\w*|сорт\w*|платформ\w*|сервис\w*|журнал\w*|газет\w*|издательств\w*|парк\w*|санатори\w*"
    r"|пансионат\w*|аптек\w*)[ —-]{0,3}\Z"
)


_UNTITLED: Final = re.compile(r"[,:;@\d]")
_MARKS: Final = '«“„"'


class Quotes:
    """The short quoted pieces of a text, and whether they are titles."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._titled: list[bool] = []

    def read(self) -> Iterator[None]:
        """Find the pieces; yields for each, so that the event loop may have a turn."""
        raw, low = self._text.raw, self._text.low
        if not any(mark in raw for mark in _MARKS):
            return
        for match in _QUOTED.finditer(raw):
            angled = match.group(1)
            titled = _TITLED.search(low, max(match.start() - _BEFORE, 0), match.start()) is not None
            title = angled is not None and len(angled.split()) <= _LONGEST_TITLE and _UNTITLED.search(angled) is None
            if titled or title:
                self._starts.append(match.start())
                self._ends.append(match.end())
                self._titled.append(titled)
            yield

    def is_title(self, position: int) -> bool:
        """Whether a position is inside quotation marks that hold a title."""
        return self._index(position) is not None

    def is_title_noun(self, position: int) -> bool:
        """Whether, besides, the word before says so."""
        index = self._index(position)
        return index is not None and self._titled[index]

    def _index(self, position: int) -> int | None:
        index = bisect_right(self._starts, position) - 1
        return index if index >= 0 and position < self._ends[index] else None
