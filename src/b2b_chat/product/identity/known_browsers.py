"""Browsers that signed in before: a signed cookie, without any stored state.

Strangers can have mails sent to an address and guess its codes until its limits are used up. A browser that has
signed in with the address has its own share of both.
"""

import base64
import hashlib
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

from b2b_chat.kit.clock import Clock
from b2b_chat.kit.keyed_hash import KeyedHash
from b2b_chat.product.settings import ProductSettings

_FORM: Final = re.compile(r"(?P<name>[A-Za-z0-9_-]{22}\.(?P<made_at>[0-9]{1,12}))\.(?P<mac>[A-Za-z0-9_-]{43})")
_NAME_BYTES: Final = 16


class KnownBrowsers:
    """Makes and reads the cookies of browsers that have signed in.

    A cookie is a random name, when it was made, and a MAC over both and the address that signed in.
    """

    def __init__(self, settings: ProductSettings, clock: Clock) -> None:
        self._macs = KeyedHash(settings.auth_token_secret, settings.auth_token_secret_previous, purpose="known browser")
        self._lifetime = timedelta(seconds=settings.known_browser_seconds)
        self._clock = clock

    def cookie_for(self, email: str) -> str:
        """Return a cookie for a browser that has signed in with this canonical address."""
        name = f"{secrets.token_urlsafe(_NAME_BYTES)}.{int(self._clock().timestamp())}"
        return f"{name}.{_text_of(self._macs.hash(_signed(email, name)))}"

    def recognise(self, email: str, cookie: str | None) -> bytes | None:
        """Return the browser's name, if it has signed in with this canonical address and not too long ago."""
        found = _FORM.fullmatch(cookie or "")
        if found is None:
            return None
        mac = base64.urlsafe_b64decode(f"{found['mac']}=")
        if not self._macs.matches(_signed(email, found["name"]), mac):
            return None
        made_at = datetime.fromtimestamp(int(found["made_at"]), UTC)
        return None if self._clock() >= made_at + self._lifetime else hashlib.sha256(found["name"].encode()).digest()


def _signed(email: str, name: str) -> str:
    return f"{email}\n{name}"


def _text_of(mac: bytes) -> str:
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")
