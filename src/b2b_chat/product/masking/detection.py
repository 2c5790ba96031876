"""The detector: every rule over a text, and one list of spans out of it.

It works in passes that hand back control often, so that a long text holds no event loop; `detect` runs them at once.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import Final

from b2b_chat.product.masking.addresses import ANCHORS, DWELLING, ENGLISH_GATE, addresses
from b2b_chat.product.masking.companies import FORMS, companies
from b2b_chat.product.masking.emails import SPOKEN_GATE, emails
from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.known_people import KnownPeople
from b2b_chat.product.masking.labels import LABELS, labelled
from b2b_chat.product.masking.name_calls import called
from b2b_chat.product.masking.names import people
from b2b_chat.product.masking.passwords import PASSWORD_LABELS, passwords
from b2b_chat.product.masking.people_lists import LISTED, listed
from b2b_chat.product.masking.quotes import Quotes
from b2b_chat.product.masking.shape import find
from b2b_chat.product.masking.shapes_contacts import CONTACTS
from b2b_chat.product.masking.shapes_dates import AFTER_NAME, DATES
from b2b_chat.product.masking.shapes_documents import DOCUMENTS
from b2b_chat.product.masking.shapes_money import MONEY
from b2b_chat.product.masking.shapes_phones import PHONES
from b2b_chat.product.masking.shapes_secrets import SECRETS
from b2b_chat.product.masking.spans import Span, resolve, standing
from b2b_chat.product.masking.tables import tables
from b2b_chat.product.masking.terms import Terms
from b2b_chat.product.masking.text import Gate, Landmarks, Text
from b2b_chat.product.masking.tokens import BARE_TOKEN, BRACKETED_TOKEN
from b2b_chat.product.masking.word_list import WordList

SHAPES: Final = (*SECRETS, *MONEY, *DOCUMENTS, *PHONES, *DATES, *CONTACTS)
"""The table: every kind that a pattern finds. A new row is all that a new shape needs."""

_GATED: Final = tuple((shape, shape.digits, Gate(*shape.gate)) for shape in SHAPES)
_LANDMARKS: Final = Landmarks(
    (
        *(piece for shape in SHAPES for piece in shape.gate),
        *SPOKEN_GATE.pieces,
        *ENGLISH_GATE.pieces,
        *ANCHORS,
        *DWELLING,
        *LABELS,
        *LISTED,
        *FORMS,
        *PASSWORD_LABELS,
        "values",
    )
)
_LITERAL_RANK: Final = 100
_DATE_RANK: Final = 27
_TURN_SECONDS: Final = 0.001
_NO_TERMS: Final = Terms(())


class Detector:
    """Finds every kind in a text, whatever the policy: what a value is also says what it is not."""

    def detect(self, text: str, *, named: Iterable[str] = (), terms: Terms = _NO_TERMS) -> list[Span]:
        """Return the spans of a text, in order and without overlap.

        Args:
            text: The text of a message.
            named: The people whom the conversation has named so far, as they were written.
            terms: The company's own words.
        """
        return resolve(text, [span for span in _passes(Text(text, _LANDMARKS), named, terms) if span is not None])

    async def detect_in_turns(self, text: str, *, named: Iterable[str] = (), terms: Terms = _NO_TERMS) -> list[Span]:
        """Do what `detect` does, and let the event loop have a turn every millisecond."""
        found: list[Span] = []
        turn_ends = time.perf_counter() + _TURN_SECONDS
        for span in _passes(Text(text, _LANDMARKS), named, terms):
            if span is not None:
                found.append(span)
            if time.perf_counter() >= turn_ends:
                await asyncio.sleep(0)
                turn_ends = time.perf_counter() + _TURN_SECONDS
        await asyncio.sleep(0)
        result: list[Span] = []
        turn_ends = time.perf_counter() + _TURN_SECONDS
        for span in standing(text, found):
            result.append(span)
            if time.perf_counter() >= turn_ends:
                await asyncio.sleep(0)
                turn_ends = time.perf_counter() + _TURN_SECONDS
        return result


def _passes(text: Text, named: Iterable[str], terms: Terms) -> Iterator[Span | None]:
    """Yield every finding, and None where nothing was found but time has passed."""
    yield from _literals(text)
    yield None
    digits = text.digits
    for shape, least, gate in _GATED:
        if digits >= least and gate.opens(text):
            yield from find(shape, text)
            yield None
    yield from passwords(text)
    yield from emails(text)
    yield from companies(text)
    yield from addresses(text)
    yield None
    yield from terms.find(text)
    yield None
    yield from _persons(text, named)


def _persons(text: Text, named: Iterable[str]) -> Iterator[Span | None]:
    words = WordList(text)
    yield from words.read()
    quotes = Quotes(text)
    yield from quotes.read()
    known = KnownPeople()
    known.learn(named)
    found: list[Span] = []
    for span in people(words, quotes):
        if span is None:
            yield None
            continue
        found.append(span)
        known.learn((text.raw[span.start : span.end],))
        yield span
        if span.kind is Kind.PERSON and (date := AFTER_NAME.match(text.raw, span.end)) is not None:
            yield Span(*date.span(1), Kind.BIRTHDATE, _DATE_RANK)
    for finder in (called(text, words), labelled(text), listed(text), tables(text)):
        for each in finder:
            if each is not None and each.kind in (Kind.PERSON, Kind.NAME):
                known.learn((text.raw[each.start : each.end],))
            yield each
        yield None
    yield from known.mentions(words, found)


def _literals(text: Text) -> Iterator[Span]:
    """Yield texts that look like our own tokens: they would be restored to a value."""
    if not text.digits:
        return
    if "[" in text.raw or "]" in text.raw:
        yield from (Span(*match.span(), Kind.TEXT, _LITERAL_RANK) for match in BRACKETED_TOKEN.finditer(text.raw))
    if "_" in text.raw:
        yield from (Span(*match.span(), Kind.TEXT, _LITERAL_RANK) for match in BARE_TOKEN.finditer(text.raw))
