"""The form of an API key: `b2b_`, 160 random bits, and a checksum.

By the fixed prefix and the checksum, secret scanners find leaked keys offline, and mistyped keys are refused without
a query.
"""

import hashlib
import re
import secrets
import zlib
from typing import Final

KEY_PREFIX: Final = "b2b_"
SHOWN_CHARACTERS: Final = 12
_FORM = re.compile(r"b2b_([0-9a-f]{40})([0-9a-f]{8})")


def new_api_key() -> str:
    """Return a fresh key. It is shown once and stored only as a hash."""
    body = secrets.token_hex(20)
    return f"{KEY_PREFIX}{body}{_checksum(body)}"


def is_well_formed(key: str) -> bool:
    """Return whether a text has the form of a key and the right checksum."""
    match = _FORM.fullmatch(key)
    return match is not None and _checksum(match[1]) == match[2]


def hash_api_key(key: str) -> bytes:
    """Return the stored hash. A key has 160 random bits, so a plain SHA-256 cannot be reversed by search."""
    return hashlib.sha256(key.encode()).digest()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
