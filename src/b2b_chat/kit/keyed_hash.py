"""Keyed hashes, which only a holder of the secret can make: they are stored in place of tokens.

A reader of the database can neither present such a hash nor find even a short code behind it by trying.
"""

import hashlib
import hmac
import secrets
from typing import Final

from b2b_chat.kit.settings import Secret

TOKEN_BYTES: Final = 32


def new_token() -> str:
    """Return a fresh token of 256 random bits, in 43 characters that need no quoting in a URL, cookie or header."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class KeyedHash:
    """HMAC-SHA256 for one purpose.

    Args:
        secret: Makes new hashes.
        previous: The secret before it. Its hashes are still recognised, so that a rotation invalidates nothing.
        purpose: Separates the hashes of two purposes that share a secret.
    """

    def __init__(self, secret: Secret, previous: Secret | None, *, purpose: str) -> None:
        self._purpose = purpose.encode() + b"\0"
        self._keys = [known.reveal().encode() for known in (secret, previous) if known]

    def hash(self, text: str) -> bytes:
        """Return the hash to store: 32 bytes."""
        return self._digest(self._keys[0], text)

    def candidates(self, text: str) -> list[bytes]:
        """Return every hash of this text that may be stored: by the current and by the previous secret."""
        return [self._digest(key, text) for key in self._keys]

    def matches(self, text: str, kept: bytes) -> bool:
        """Return whether a hash was made of this text, in constant time."""
        return any([hmac.compare_digest(candidate, kept) for candidate in self.candidates(text)])  # noqa: C419 - all are compared, always

    def _digest(self, key: bytes, text: str) -> bytes:
        return hmac.digest(key, self._purpose + text.encode(), hashlib.sha256)
