"""The signature of the border: HMAC-SHA256 over method, target, timestamp, nonce and body hash.

Signed bytes: METHOD, raw path and query as on the request line, timestamp, nonce and the sha256 hex of the raw
body, joined by one newline. The order of the checks is the order of this module: headers, MAC, skew. The nonce
comes last; the gateway checks it, since it keeps a store of them.

    SignatureError
    ├── MissingSignature     a header is absent
    ├── MalformedSignature   a header is there twice, or not of its form
    ├── InvalidSignature     no accepted secret made this MAC
    ├── StaleTimestamp       the MAC is right, the time is outside the skew
    └── ReplayedNonce        the MAC is right, the nonce was seen before
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from typing import ClassVar, Final, NamedTuple

from b2b_chat.contract.errors import Code

TIMESTAMP_HEADER: Final = "X-Timestamp"
NONCE_HEADER: Final = "X-Nonce"
SIGNATURE_HEADER: Final = "X-Signature"

_TIMESTAMP = re.compile(rb"[0-9]{1,15}")
_NONCE = re.compile(rb"[A-Za-z0-9_-]{16,128}")
_SIGNATURE = re.compile(rb"[0-9a-f]{64}")
_FORMS: Final = {b"x-timestamp": _TIMESTAMP, b"x-nonce": _NONCE, b"x-signature": _SIGNATURE}


class SignatureError(Exception):
    """A call that must not be let in; `code` is its name in the error vocabulary."""

    code: ClassVar[Code]


class MissingSignature(SignatureError):
    """One of the three headers is absent."""

    code = "missing_signature"


class MalformedSignature(SignatureError):
    """One of the three headers is repeated or does not have its form."""

    code = "malformed_signature"


class InvalidSignature(SignatureError):
    """The MAC was not made over this call with an accepted secret."""

    code = "invalid_signature"


class StaleTimestamp(SignatureError):
    """The MAC is right, but was made too long ago, or by a clock that runs ahead."""

    code = "stale_timestamp"


class ReplayedNonce(SignatureError):
    """The MAC is right, but its nonce was used before."""

    code = "replayed_nonce"


class Signature(NamedTuple):
    """The three headers of a signed call, as sent."""

    timestamp: bytes
    nonce: bytes
    mac: bytes


def compute_mac(secret: bytes, method: str, target: bytes, timestamp: bytes, nonce: bytes, body: bytes) -> bytes:
    """Return the lowercase hex MAC of a call; `target` is the raw path and query as on the request line."""
    body_hash = hashlib.sha256(body).hexdigest().encode()
    canonical = b"\n".join((method.encode(), target, timestamp, nonce, body_hash))
    return hmac.digest(secret, canonical, "sha256").hex().encode()


def sign(secret: bytes, method: str, target: str, body: bytes, *, unix_seconds: int) -> dict[str, str]:
    """Return the headers that sign a call made at `unix_seconds`, with a fresh nonce of 128 random bits."""
    timestamp = str(unix_seconds)
    nonce = secrets.token_hex(16)
    mac = compute_mac(secret, method, target.encode(), timestamp.encode(), nonce.encode(), body)
    return {TIMESTAMP_HEADER: timestamp, NONCE_HEADER: nonce, SIGNATURE_HEADER: mac.decode()}


def read_signature(headers: Iterable[tuple[bytes, bytes]]) -> Signature:
    """Take the signature out of raw headers with lower-case names.

    Raises:
        MissingSignature: One of the three headers is absent.
        MalformedSignature: One is there twice, or does not have its form.
    """
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _FORMS:
            if name in found:
                raise MalformedSignature
            found[name] = value
    if len(found) < len(_FORMS):
        raise MissingSignature
    if not all(form.fullmatch(found[name]) for name, form in _FORMS.items()):
        raise MalformedSignature
    return Signature(found[b"x-timestamp"], found[b"x-nonce"], found[b"x-signature"])


def ensure_fresh(signature: Signature, *, unix_seconds: float, skew_seconds: int) -> None:
    """Check that the time which a call says it was signed at is within the skew. Nobody has checked its MAC yet.

    Raises:
        StaleTimestamp: It was not.
    """
    if abs(unix_seconds - int(signature.timestamp)) > skew_seconds:
        raise StaleTimestamp


def verify(
    accepted_secrets: Sequence[bytes],
    signature: Signature,
    method: str,
    target: bytes,
    body: bytes,
    *,
    unix_seconds: float,
    skew_seconds: int,
) -> None:
    """Check that one of the accepted secrets signed this call, and did so within the skew.

    Raises:
        InvalidSignature: No accepted secret made this MAC.
        StaleTimestamp: The MAC is right, the time is not.
    """
    timestamp, nonce, mac = signature
    # Every secret is tried, so that the time taken does not show which one matched.
    matches = [
        hmac.compare_digest(compute_mac(secret, method, target, timestamp, nonce, body), mac)
        for secret in accepted_secrets
    ]
    if not any(matches):
        raise InvalidSignature
    if abs(unix_seconds - int(timestamp)) > skew_seconds:
        raise StaleTimestamp
