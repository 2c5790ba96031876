"""Values that must not leak, and the search for them in everything that a process writes."""

import base64
import re
from typing import Final, NamedTuple
from urllib.parse import quote, quote_plus

_SHORT_CHARACTERS: Final = 8
"""What is so short, a login code, is found only where it stands alone: its digits are also a part of times."""


class Hit(NamedTuple):
    """A canary that was found."""

    kind: str
    form: str
    around: str


class Canaries:
    """All that was given to the software to keep, by its kind."""

    def __init__(self) -> None:
        self._values: dict[str, set[str]] = {}

    @property
    def kinds(self) -> set[str]:
        """The kinds that there is at least one of."""
        return set(self._values)

    def add(self, kind: str, *values: str) -> None:
        """Have values found from now on."""
        assert all(values), f"an empty {kind}"
        self._values.setdefault(kind, set()).update(values)

    def hits(self, written: bytes) -> list[Hit]:
        """The canaries in some bytes, in any form."""
        return [
            Hit(kind, form, repr(written[max(0, found.start() - 60) : found.end() + 20]))
            for kind, values in self._values.items()
            for value in values
            for form, text in forms_of(value).items()
            if text in written and (found := _pattern(text).search(written))
        ]


def forms_of(value: str) -> dict[str, bytes]:
    """The ways in which a value may be written down."""
    raw = value.encode()
    forms = {
        "raw": raw,
        "JSON": value.encode("ascii", "backslashreplace"),
        "Python": ascii(value)[1:-1].encode(),
        "URL": quote(value, safe="").encode(),
        "form": quote_plus(value).encode(),
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "bytes": repr(raw)[2:-1].encode(),
    }
    for offset in range(3):
        # Where a value stands within other bytes decides its base64; the characters it shares with them are left out.
        encoded = base64.b64encode(bytes(offset) + raw)
        inner = encoded[(0, 2, 3)[offset] : len(encoded) - (0, 3, 2)[(offset + len(raw)) % 3]]
        forms[f"base64 at {offset}"] = inner
        forms[f"base64url at {offset}"] = inner.replace(b"+", b"-").replace(b"/", b"_")
    return forms


def _pattern(text: bytes) -> re.Pattern[bytes]:
    pattern = re.escape(text)
    if len(text) <= _SHORT_CHARACTERS:
        pattern = rb"(?<![0-9A-Za-z.+/_-])" + pattern + rb"(?![0-9A-Za-z+/_-])"
    return re.compile(pattern)
