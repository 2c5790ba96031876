"""The form of an API key: `b2b_`, 160 random bits, and a checksum.

The fixed prefix and the checksum let a secret scanner find a leaked key without asking anybody, and let a mistyped
key be refused without asking the database.
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
    """A fresh key; it is shown once and kept only as a hash."""
    body = secrets.token_hex(20)
    return f"{KEY_PREFIX}{body}{_checksum(body)}"


def is_well_formed(key: str) -> bool:
    """Whether a text has the form of a key and its checksum is right."""
    match = _FORM.fullmatch(key)
    return match is not None and _checksum(match[1]) == match[2]


def hash_api_key(key: str) -> bytes:
    """The hash kept at rest. A key has 160 random bits, so a plain SHA-256 cannot be searched."""
    return hashlib.sha256(key.encode()).digest()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
