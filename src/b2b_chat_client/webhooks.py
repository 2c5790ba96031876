"""Webhooks: whether one comes from the server, unchanged and lately.

Source: Standard Webhooks, https://www.standardwebhooks.com: HMAC-SHA256 over `id.timestamp.body`.
"""

import base64
import binascii
import hmac
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import msgspec

from b2b_chat_client.errors import NotConfigured, WebhookRejected

TOLERANCE_SECONDS: Final = 300

_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - it says what the rest is


def verify(
    body: bytes | str,
    headers: Mapping[str, str],
    secret: str,
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    unix_seconds: float | None = None,
) -> Any:
    """Return the event that a webhook brings, as plain values, once its signature is proved.

    Args:
        body: The request's body, byte for byte as it came.
        headers: The request's headers, of which `webhook-id`, `webhook-timestamp` and `webhook-signature` are read.
        secret: As it was shown: `whsec_…`.
        tolerance_seconds: How far its time may be from this machine's, before and after.
        unix_seconds: This machine's time; None reads the clock.

    Raises:
        WebhookRejected: It is not signed with this secret, too old, or no JSON. Answer it with 400.
        NotConfigured: The secret is none.
    """
    key = _key_of(secret)
    given = {name.lower(): value for name, value in headers.items()}
    try:
        webhook_id, timestamp, signatures = (given[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as missing:
        raise WebhookRejected(f"The header {missing} is missing.") from None
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise WebhookRejected("The header 'webhook-timestamp' is not a number of seconds.")
    content = body.encode() if isinstance(body, str) else body
    expected = hmac.digest(key, b"%b.%b.%b" % (webhook_id.encode(), timestamp.encode(), content), sha256)
    if not any(hmac.compare_digest(expected, signature) for signature in _signatures(signatures)):
        raise WebhookRejected("No signature fits: another secret, or a changed body.")
    now = time.time() if unix_seconds is None else unix_seconds
    if abs(now - int(timestamp)) > tolerance_seconds:
        raise WebhookRejected("The webhook is too old, or a clock is wrong.")
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise WebhookRejected("The body is not JSON.") from None


def _key_of(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise NotConfigured("A webhook's secret is `whsec_` and base64.")
    return key


def _signatures(header: str) -> list[bytes]:
    """Return the signatures of version 1; while a secret is renewed there are two."""
    found = []
    for part in header.split():
        version, _, text = part.partition(",")
        if version == "v1":
            try:
                found.append(base64.b64decode(text, validate=True))
            except (binascii.Error, ValueError):
                continue
    return found
