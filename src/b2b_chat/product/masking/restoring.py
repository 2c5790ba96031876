"""Putting values back where an answer has their tokens: in a stream, in a whole text, in the arguments of a tool.

A restored stream equals the restored whole text however it was cut: what may still become a token is held back, at
most `tokens.LONGEST` characters, and everything else goes on at once.
"""

import re
from typing import Final

import msgspec

from b2b_chat.product.masking.cases import Inflect, glued, hinted
from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.links import LinkWatch
from b2b_chat.product.masking.masks import Mask, Values
from b2b_chat.product.masking.spans import Span
from b2b_chat.product.masking.tokens import LONGEST, PEOPLE, POSSIBLE, TOKEN, UNFINISHED, read

_NOTHING: Final = Values()


def _in_json(value: str) -> str:
    """Return a value as it stands between the quotation marks of a JSON string."""
    return msgspec.json.encode(value)[1:-1].decode()


class Restorer:
    """Restores one text that comes in pieces. After `end`, `masks` and `unknown` describe the restored text."""

    def __init__(
        self,
        values: Values = _NOTHING,
        *,
        hosts: frozenset[str] = frozenset(),
        json: bool = False,
        inflect: Inflect | None = None,
    ) -> None:
        """Begin a text.

        Args:
            values: What the tokens stand for.
            hosts: The hosts whose URLs may get values: those that the user wrote.
            json: Whether the text is JSON, such as the arguments of a tool: values are written as in its strings.
            inflect: How a value is put into the case that the model asks for; without it values stay as they are.
        """
        self._values = values
        self._json = json
        self._inflect = inflect
        self._links = LinkWatch(hosts, json=json)
        self._held = ""
        self._before = ""
        self._length = 0
        self.masks: list[Mask] = []
        """Where values stand in the restored text, to be stored beside it."""
        self.literals: list[Span] = []
        """Where tokens stand in the restored text that no value has. `Values.of_answer` makes masks of them, so that
        they stand for no value when the text is sent again.
        """
        self.unknown = 0
        """How many tokens were left as they came: no value has their number, or they were in a foreign URL."""

    def feed(self, text: str) -> str:
        """Take the next piece; return the restored text that readers can have now."""
        if not self._held and POSSIBLE.search(text) is None:
            if text:
                self._links.see(text)
                self._before = text[-1]
                self._length += len(text)
            return text
        # One character of what has gone before is kept, so that a border is seen.
        text = self._before + self._held + text
        first = len(self._before)
        unfinished = UNFINISHED.search(text, max(len(text) - LONGEST, first))
        stop = unfinished.start() if unfinished is not None else len(text)
        return self._restore(text, first, stop)

    def end(self) -> str:
        """Return what was held back."""
        text = self._before + self._held
        return self._restore(text, len(self._before), len(text))

    def _restore(self, text: str, first: int, stop: int) -> str:
        pieces: list[str] = []
        position = first
        for match in TOKEN.finditer(text, first, stop):
            self._pass(pieces, text[position : match.start()])
            self._replace(pieces, match)
            position = match.end()
        self._pass(pieces, text[position:stop])
        self._held = text[stop:]
        self._before = text[stop - 1 : stop]
        return "".join(pieces)

    def _pass(self, pieces: list[str], text: str) -> None:
        if text:
            self._links.see(text)
            self._length += len(text)
            pieces.append(text)

    def _replace(self, pieces: list[str], match: re.Match[str]) -> None:
        opening, closing = match["open"] or match["other"] or "", match["close"] or match["square"] or ""
        kind, number, hint = read(match["body"] or match["body2"] or match["bare"])
        value = self._values.find(kind, number)
        if value is None or self._links.forbids():
            self.unknown += 1
            if value is None:
                self.literals.append(Span(self._length, self._length + len(match.group()), Kind.TEXT))
            self._pass(pieces, match.group())
            return
        ending = match["glued"] or ""
        case = hinted(hint) if hint else None
        rest = ending
        if ending and kind in PEOPLE and glued(ending) is not None:
            case, rest = case or glued(ending), ""
        # One escaped bracket is no pair: that backslash is the text's own.
        both = opening.startswith("\\") and closing.startswith("\\")
        self._pass(pieces, "\\" if opening.startswith("\\") and not both else "")
        if case is not None and self._inflect is not None and kind in PEOPLE:
            value = self._inflect(value, case)
        self._put(pieces, match, kind, number, _in_json(value) if self._json else value)
        self._pass(pieces, ("\\" if closing.startswith("\\") and not both else "") + rest)

    def _put(self, pieces: list[str], match: re.Match[str], kind: Kind, number: int, value: str) -> None:
        self._links.see(match.group())
        self.masks.append(Mask(self._length, self._length + len(value), kind, number))
        self._length += len(value)
        pieces.append(value)


def restored(text: str, values: Values, *, hosts: frozenset[str] = frozenset(), json: bool = False) -> str:
    """Restore a whole text."""
    restorer = Restorer(values, hosts=hosts, json=json)
    return restorer.feed(text) + restorer.end()
