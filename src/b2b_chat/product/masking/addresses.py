"""Postal addresses: a kind of street, its name and a house, with what stands around them."""

import re
from collections.abc import Iterator
from typing import Final

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.spans import Span
from b2b_chat.product.masking.text import Gate, Text

RANK: Final = 44
_REACH: Final = 80
_MOST_PARTS: Final = 6
_INDEX_AND_HOUSE: Final = 7
_FLATS: Final = ("кв", "оф", "подъезд", "корп")
_GERMAN: Final = ("str", "weg", "platz", "gasse")

_KINDS_OF_STREET: Final = (
    *(
        "улица",
        "улице",
        "улицу",
        "улицы",
        "ул",
        "проспект",
        "проспекте",
        "проспекту",
        "просп",
        "пр-кт",
        "пр-т",
        "пр-д",
        "пр",
        "переулок",
        "переулке",
        "переулка",
        "пер",
    ),
    *(
        "проезд",
        "проезде",
        "бульвар",
        "бульваре",
        "б-р",
        "бул",
        "шоссе",
        "набережная",
        "набережной",
        "наб",
        "площадь",
        "площади",
        "пл",
        "тупик",
        "аллея",
        "аллее",
    ),
    *("линия", "линии", "тракт", "тракте", "микрорайон", "микрорайоне", "мкрн", "мкр", "мкр-н", "квартал", "кв-л"),
    *("поселок", "пос", "пгт", "деревня", "дер", "село", "станица", "ст-ца", "хутор", "снт", "днт", "кп", "тер"),
)
_SHORT: Final = frozenset(
    ("ул", "улица", "улице", "улицу", "пр-т", "пр-кт", "пер", "переулок", "наб", "мкр", "б-р", "ш", "кв-л", "проезд")
)
_HIGHWAY: Final = re.compile(r"ш\.")
_BORDERS: Final = frozenset(" \t\n,.;:(«\"'|>")
ANCHORS: Final = frozenset(word + end for word in _KINDS_OF_STREET for end in (" ", ".", ","))
_NAME: Final = (
    r"(?:[0-9]{1,4}(?:-?(?:я|й|го|ая|ой|ый|летия"
    r"|лет))?[ ])?(?:[а-яa-z][а-яa-z.-]{0,30}[ ]){0,3}[«\"]?[а-яa-z][а-яa-z-]{0,30}[а-яa-z][»\"]?"
)
_HOUSE: Final = (
    r"(?:(?:дом|д|вл|владение|зд|здание|уч|участок|стр|строение|корп|корпус"
    r"|соор)\.?[ ]{0,2}(?:№ ?)?[0-9]{1,4}(?:-?[а-яa-z](?![а-яa-z]))?(?:[/-][0-9]{1,4}[а-яa-z]?)?"
    r"|[0-9]{1,4}(?:[ ]?[а-я]|[ ]?(?:к|корп|с|стр"
    r"|лит)\.?[ ]?[0-9]{1,2})?(?:[/-][0-9]{1,4}[а-я]?)?(?![0-9а-яa-z]|[.:][0-9]))"
)
_EXTRA: Final = (
    r"(?:[ ]?,?[ ]{0,2}(?:(?:корпус|корп|квартира|кв|кабинет|каб|комната|комн|ком|строение|стр|литера?|лит"
    r"|офис|оф|помещение|помещ|пом|этаж|эт|подъезд|под|секция|апартаменты|апарт|ап|бокс|а/я"
    r"|дом|вл|уч|участок|к|с|д)(?:\.?[ ]{0,2}(?:№[ ]?)?[0-9]{1,5}[а-яa-z]?(?:[/-][0-9]{1,4})?(?![0-9])"
    r"|[. ][ ]?[а-яivx]{1,2}(?![а-яa-z]))|[0-9]{1,3}[ -]?(?:этаж|подъезд)))"
)
_TAIL: Final = r"[,]?[ ]{0,2}" + _HOUSE + _EXTRA + r"{0,6}"
_AFTER: Final = re.compile(r"\.?[ ]{0,2}(?P<name>" + _NAME + r"|(?:№ ?)?[0-9]{1,3}(?=,))" + _TAIL)
_ADJECTIVE: Final = re.compile(
    r"(?:[0-9]{1,2}-(?:й|я|ый|ая)[ ])?(?:[а-я-]{3,30}(?:ий|ый|ой|ая|яя|ое|ее|ом|ем)[ ]){1,2}\Z"
)
_AFTER_NAMED: Final = re.compile(r"\.?" + _TAIL)
_CITY: Final = (
    r"(?<![а-я])(?:(?:город|гор|г|поселок|пос|пгт|п|село|с|деревня|дер|д|станица|ст|хутор|рп"
    r"|ст-ца)(?:\.[ ]{0,2}|[ ])[а-я][а-я-]{1,30}(?:[ ][а-я][а-я-]{2,30}){0,2})"
)
_REGION: Final = (
    r"(?<![а-я])(?:[а-я-]{4,30}[ ](?:область|обл|край|район|р-н|ао|округ|г\.?о)\.?|(?:республика"
    r"|респ)\.?[ ][а-я-]{3,30}|рф|россия|российская федерация|[а-я-]{4,24}(?:ая|ий)[ ]респ(?:ублика|\.)"
    r"|(?:москва|санкт-петербург|спб|мск|казань|екатеринбург|новосибирск|нижний новгород|самара|омск|челябинск"
    r"|уфа|пермь|калуга|рязань|пенза|барнаул|владивосток|ярославль|кемерово|астрахань|киров|чебоксары|орел|псков"
    r"|иваново|сургут|владимир|чита|симферополь|вологда|кострома|тамбов|махачкала|владикавказ|майкоп|тольятти"
    r"|химки|королев|мытищи|люберцы|одинцово|балашиха|сыктывкар|йошкар-ола|абакан|магадан|волгоград|воронеж|краснодар|красноярск|саратов|тюмень|тула|тверь|сочи|[а-я-]{2,24}(?:ск|град"
    r"|бург)))"
)
_PART: Final = re.compile(
    r"(?:(?<![0-9])[0-9]{6}|" + _CITY + r"|" + _REGION + r"|" + _CITY + r"[ ]" + _REGION + r")[ ]?\Z"
)
_BARE_CITY: Final = re.compile(r"[ ]?[А-ЯЁ][а-яё]{2,24}(?:[ -][А-ЯЁа-яё][а-яё]{1,20}){0,2}[ ]?\Z")
_CITY_ONLY: Final = re.compile(
    r"[,]?[ ]{0,2}(?:[0-9]{6}[,]?[ ]{0,2})?(?:(?:г|гор|город)\.?[ ]{0,2}[а-я][а-я-]{2,30}(?:[ ][а-я][а-я-]{2,20})?)"
)
_NAMED: Final = re.compile(
    r"[А-ЯЁ](?<![^\s,.;:(].)[а-яё-]{3,30}(?:[ -][А-ЯЁ][а-яё-]{3,30})?,?[ ](?:д(?:ом)?\.?[ ]?)?[0-9]{1,3}[а-"
    r"яё]?(?:[/-][0-9]{1,3})?,?[ ]{0,2}(?:(?:корпус|корп|к|стр)\.?[ ]?[0-9]{1,2},?[ ]{0,2})?(?:кв|квартира|оф|о"
    r"фис)\.?[ ]{0,2}[0-9]{1,4}(?![0-9])"
)
_NAMED_LOW: Final = re.compile(
    r"(?:жив[уе]т?|прожива[а-я]{2,5}|адрес[а-я]{0,2}:?|доставк[а-я]{1,2}|прописан[а-я]?|на"
    r"|по)[ ]([а-яё-]{4,30}(?:[ ][а-яё-]{4,30})?,?[ ](?:д(?:ом)?\.?[ ]?)?[0-9]{1,3}[а-яё]?(?:[/-][0-9]{1,3})?,?"
    r"[ ](?:кв|квартира|оф|офис|корп|корпус|подъезд)\.?[ ]?[0-9]{1,4})(?![0-9])"
)
_LIVES: Final = re.compile(
    r"\w{0,8}[ ](?:на|по|в)[ ]([А-ЯЁ][а-яё-]{3,30}(?:[ ][А-ЯЁ][а-яё]{2,20})?,?[ ]"
    r"[0-9]{1,3}[а-я]?(?:[-/][0-9]{1,4})?)(?![\w.:%])"
)
DWELLING: Final = frozenset(("живу", "живе", "прожива", "доставьте", "приезжай", "заберите", "прописан"))
"""Beginnings of words after which a name and a number are an address: «живём на Лесной 12-45»."""
_HOUSE_ONLY: Final = re.compile(
    r"д(?<![^\s,;:(].)(?:ом)?\.?[ ]?[0-9]{1,3}[а-я]?(?:[/-][0-9]{1,3})?,[ ]?(?:(?:корп|к"
    r"|стр)\.?[ ]?[0-9]{1,2},[ ]?)?(?:кв|квартира|оф)\.?[ ]?[0-9]{1,4}(?![0-9])"
)
_INDEXED: Final = re.compile(
    r"[0-9](?<![\w.,-][0-9])(?<![0-9] [0-9])[0-9]{5},[ ]?[А-ЯЁ][^\n;|<>{}\"]{6,90}?[0-9]{1,4}[а-яА-Я]?(?=[\n;|.)\"]|\Z"
    r"|,?[ ]{0,2}(?:тел|e-?mail|инн|$))",
    re.MULTILINE,
)
_ENGLISH: Final = re.compile(
    r"[0-9](?<![\w.,/-][0-9])[0-9]{0,4}[A-Za-z]?(?:-[0-9]{1,4})?[ ](?:(?:North|South|East|West|N|S|E"
    r"|W)\.?[ ])?(?:[A-Z0-9][A-Za-z0-9'-]{1,24}[ ]){1,4}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Square|Sq|Place|Pl|Way|Terrace"
    r"|Crescent|Highway|Hwy|Parkway|Close|Row)\b\.?(?:[ ](?:NW|NE|SW|SE|N|S|E|W)\b)?"
    r"(?:,?[ ](?:Apt|Suite|Ste|Unit|Flat|Floor|Room"
    r"|#)\.?[ ]?[A-Z0-9-]{1,6})?(?:,[ ][A-Z][A-Za-z .'-]{1,28}[A-Za-z]){0,2}(?:,?[ ][A-Z]{2})?(?:,?[ ](?:[0-9]{"
    r"5}(?:-[0-9]{4})?|[A-Z]{1,2}[0-9][0-9A-Z]?[ ]?[0-9][A-Z]{2}))?(?![0-9A-Za-z])"
)
_FOREIGN: Final = re.compile(
    r"[A-ZÄÖÜ](?<!\w.)[a-zäöüß]{2,24}(?:stra(?:ß|ss)e|str\.|weg|platz|allee|gasse"
    r"|damm)[ ][0-9]{1,4}[a-z]?(?:,[ ][0-9]{4,5}[ ][A-ZÄÖÜ][a-zäöüß]{2,24})?"
)
ENGLISH_GATE: Final = Gate(
    "street",
    " st",
    "avenue",
    " ave",
    "road",
    " rd",
    "lane",
    " ln",
    "drive",
    " dr",
    "boulevard",
    "blvd",
    "court",
    "square",
    "place",
    " way",
    "terrace",
    "crescent",
    "highway",
    "parkway",
    "close",
    " row",
    "suite",
)


def addresses(text: Text) -> Iterator[Span | None]:
    """Yield the addresses of a text, and None now and then."""
    if not text.digits:
        return
    low = text.low
    free = 0
    for start, end in _anchors(text):
        if start >= free and (not start or low[start - 1] in _BORDERS):
            found = _around(text, start, end, free)
            if found is not None:
                free = found.end
            yield found
    yield from _loose(text)


def _anchors(text: Text) -> list[tuple[int, int]]:
    """Return where the kinds of street stand, in order."""
    low, found = text.low, text.found
    anchors = [(start, start + len(piece) - 1) for piece in ANCHORS.intersection(found) for start in found[piece]]
    if "ш." in low:
        anchors += [(match.start(), match.start() + 1) for match in _HIGHWAY.finditer(low)]
    return sorted(anchors)


def _around(text: Text, start: int, end: int, floor: int) -> Span | None:
    """Widen a word for a kind of street to its address; None when there is no house."""
    low = text.low
    name_start = start
    match = _AFTER.match(low, end)
    if match is None or not _is_name(text, low[start:end], match.start("name"), match.end("name")):
        before = _ADJECTIVE.search(low, max(start - 64, floor), start)
        match = _AFTER_NAMED.match(low, end)
        if before is None or match is None:
            return None
        name_start = before.start()
    stop = match.end()
    city = _CITY_ONLY.match(low, stop)
    begin = _begin(text, name_start, floor)
    if city is not None and begin == name_start:
        stop = city.end()
    return Span(begin, stop, Kind.ADDRESS, RANK)


def _is_name(text: Text, kind: str, start: int, end: int) -> bool:
    """Whether what follows the kind of street is a name: with a capital, or in lower case after «ул» and the like."""
    return kind in _SHORT or any(map(str.isupper, text.raw[start:end]))


def _begin(text: Text, start: int, floor: int) -> int:
    """Walk to the left over city, region and index, a part between commas at a time."""
    low, begin = text.low, start
    for _ in range(_MOST_PARTS):
        stop = begin
        while stop > floor and low[stop - 1] in " ,":
            stop -= 1
        left = max(stop - _REACH, floor)
        last = max(low.rfind(mark, left, stop) for mark in ',;:\n(«|"')
        part = _PART.search(low, max(last + 1, left), stop)
        if part is None and last >= left and _BARE_CITY.match(text.raw, last + 1, stop) is not None:
            region = max(last - _REACH, floor)
            edge = max(low.rfind(mark, region, last) for mark in ',;:\n(«|"')
            if _PART.search(low, max(edge + 1, region), last) is not None:
                begin = last + 1
                continue
        if part is None:
            return begin
        begin = part.start()
        if low[max(last + 1, left) : begin].strip():
            return begin
    return begin


def _loose(text: Text) -> Iterator[Span | None]:
    """Yield addresses without a kind of street: «Ленина 45 кв 12», an index and a row of parts, foreign ones."""
    low = text.low
    if any(piece in low for piece in _FLATS):
        for match in _NAMED.finditer(text.raw):
            yield Span(_begin(text, match.start(), 0), match.end(), Kind.ADDRESS, RANK - 1)
        for match in _NAMED_LOW.finditer(low):
            yield Span(*match.span(1), Kind.ADDRESS, RANK - 1)
        yield from _spans(_HOUSE_ONLY, low, RANK - 2)
    for word in DWELLING.intersection(text.found):
        for start in text.found[word]:
            lived = _LIVES.match(text.raw, start + len(word))
            yield None if lived is None else Span(*lived.span(1), Kind.ADDRESS, RANK - 2)
    if text.digits >= _INDEX_AND_HOUSE:
        yield from _spans(_INDEXED, text.raw, RANK - 2)
    if ENGLISH_GATE.opens(text):
        yield from _spans(_ENGLISH, text.raw, RANK)
    if any(piece in low for piece in _GERMAN):
        yield from _spans(_FOREIGN, text.raw, RANK)


def _spans(pattern: re.Pattern[str], subject: str, rank: int) -> Iterator[Span]:
    return (Span(*match.span(), Kind.ADDRESS, rank) for match in pattern.finditer(subject))
