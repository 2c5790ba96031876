"""A link that signs the demo person in: from a login mail, requested like any other, that the catcher has."""

import os
import select
import sys
import time
from typing import Final

import httpx

DEMO_EMAIL: Final = "demo@example.test"
"""The person whose company has credits."""

_WAIT_SECONDS: Final = 3
_POLL_SECONDS: Final = 0.05
_READ_BYTES: Final = 4096


def new_sign_in_link(product_url: str, mail_url: str, email: str) -> str | None:
    """Return a new link for this address, or None if product_api sends it no more mails now.

    Its token stands behind a `#`, so that no server sees it; opening it changes nothing,
    and its button redeems it, once.
    """
    try:
        before = _newest_link(mail_url, email)
        asked = httpx.post(f"{product_url}/auth/request-link", json={"email": email}, trust_env=False)
        deadline = time.monotonic() + _WAIT_SECONDS
        while asked.status_code == httpx.codes.ACCEPTED and time.monotonic() < deadline:
            link = _newest_link(mail_url, email)
            if link != before:
                return link
            time.sleep(_POLL_SECONDS)
    except httpx.TransportError:  # a part has died, which the stack reports
        return None
    return None


def describe_sign_in(url: str | None) -> str:
    """Return the address for a person at the terminal, or why there is none."""
    if url is None:
        return (
            f"There is no new address to sign in as {DEMO_EMAIL} now: a few may be open at a time. Open one that you "
            "were given in the last minutes, or press Enter again later."
        )
    return f"Open this in a browser to chat as {DEMO_EMAIL}. It works once, and for some minutes:\n  {url}"


def _newest_link(mail_url: str, email: str) -> str | None:
    mails = httpx.get(mail_url, params={"to": email}, trust_env=False).json()["items"]
    return next((str(mail["link"]) for mail in mails if mail["link"]), None)


def enter_was_pressed() -> bool:
    """Return whether Enter was pressed at our terminal since the last call."""
    if not is_at_terminal():
        return False
    keyboard = sys.stdin.fileno()
    try:
        # In the background a process that reads from its terminal is stopped.
        if os.tcgetpgrp(keyboard) != os.getpgrp() or not select.select([keyboard], [], [], 0)[0]:
            return False
        return b"\n" in os.read(keyboard, _READ_BYTES)
    except OSError:  # the terminal is gone
        return False


def is_at_terminal() -> bool:
    """Return whether there is a keyboard to press Enter on."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
