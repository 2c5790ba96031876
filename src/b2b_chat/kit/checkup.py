"""What a check of a deployment found, and the checks that both apps need: certificates, Valkey, clocks."""

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from b2b_chat.kit.valkey import Valkey, ValkeySettings, ValkeyUnavailable, valkey_of

RENEW_BEFORE_DAYS: Final = 14
"""Certificates are renewed at a third of their life, which is 30 days for the usual ones; later something is stuck."""

MAX_CLOCK_DIFFERENCE_SECONDS: Final = 5
"""With NTP two servers differ by milliseconds."""

_HTTPS_PORT: Final = 443


class Finding(Struct, frozen=True):
    """What one check found."""

    subject: str
    level: Literal["ok", "warn", "fail"]
    text: str
    remedy: str = ""
    """What to do about it; empty where all is well."""


async def check_certificate(name: str, url: str, *, now: datetime) -> Finding | None:
    """Check that the certificate behind a URL is trusted and stays valid for a while; None for a URL without TLS.

    Args:
        name: The variable that holds the URL.
        url: Where to look.
        now: The time.
    """
    subject = f"certificate of {name}"
    parts = urlsplit(url)
    if parts.scheme != "https" or parts.hostname is None:
        return None
    try:
        ends_at = await _certificate_end(parts.hostname, parts.port or _HTTPS_PORT)
    except ssl.SSLCertVerificationError as error:
        remedy = "Renew the certificate, and give nginx the whole chain: fullchain.pem."
        return Finding(subject, "fail", f"it is not trusted: {error.verify_message}", remedy)
    except OSError as error:
        remedy = f"Look whether nginx runs there and whether {name} is right."
        return Finding(subject, "fail", f"no TLS connection: {type(error).__name__}", remedy)
    days_left = (ends_at - now).days
    if days_left < RENEW_BEFORE_DAYS:
        return Finding(subject, "fail", f"it ends in {days_left} days", "Renew it now: certbot renew.")
    return Finding(subject, "ok", f"trusted for {days_left} days more")


async def _certificate_end(host: str, port: int) -> datetime:
    _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context())
    try:
        certificate = writer.get_extra_info("peercert")
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    finally:
        writer.close()
        with suppress(OSError):  # an SSLError is one
            await writer.wait_closed()


async def check_valkey(settings: ValkeySettings) -> Finding | None:
    """Check that Valkey takes commands and writes nothing to disk; None where no Valkey is set."""
    valkey = valkey_of(settings)
    if valkey is None:
        return None
    try:
        await valkey.ask("PING")
        writes = await _writes_to_disk(valkey)
    except ValkeyUnavailable:
        remedy = "Look whether Valkey runs, and whether VALKEY_URL, its user and its password are right."
        return Finding("Valkey", "fail", f"no answer in {settings.valkey_timeout_seconds:g} s, or a refusal", remedy)
    finally:
        await valkey.close()
    if writes:
        remedy = (
            'Set save "" and appendonly no in its configuration: answers are in it, and none of them is needed later.'
        )
        return Finding("Valkey", "warn", "takes commands, and writes what it is given to disk", remedy)
    return Finding("Valkey", "ok", "takes commands")


async def _writes_to_disk(valkey: Valkey) -> bool:
    """Return whether a restart would restore its content; False where it does not let us ask."""
    try:
        found = [await valkey.ask("CONFIG", "GET", name) for name in ("save", "appendonly")]
    except ValkeyUnavailable:
        return False
    return found != [[b"save", b""], [b"appendonly", b"no"]]


def check_clock(other: str, difference_seconds: float) -> Finding:
    """Check that our clock and another agree; the difference is ours minus the other's."""
    subject = f"clock beside {other}"
    if abs(difference_seconds) <= MAX_CLOCK_DIFFERENCE_SECONDS:
        return Finding(subject, "ok", f"less than {MAX_CLOCK_DIFFERENCE_SECONDS} s apart")
    way = "ahead" if difference_seconds > 0 else "behind"
    text = f"this server's is {abs(difference_seconds):.0f} s {way}"
    return Finding(subject, "fail", text, "Run NTP on both servers: timedatectl set-ntp true.")


def seconds_ahead_of(date_header: str | None, now: datetime) -> float | None:
    """Return how far our clock is ahead of the one that wrote an HTTP `Date`; None without such a header."""
    if not date_header:
        return None
    try:
        return (now - parsedate_to_datetime(date_header)).total_seconds()
    except ValueError:
        return None
