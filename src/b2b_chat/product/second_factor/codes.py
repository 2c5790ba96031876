"""Secrets and codes, and their encryption: none can be read from the database."""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Final

import msgspec
import pyotp
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from msgspec import Struct

from b2b_chat.kit.settings import Secret

RECOVERY_CODES: Final = 10
_STEP_SECONDS: Final = 30
_STEPS_AROUND: Final = (-1, 0, 1)
"""A code of the step before or after counts too: clocks of phones differ."""
_ISSUER: Final = "b2b-chat"


class Factor(Struct, frozen=True):
    """A second factor as it is sealed."""

    secret: str
    recovery_hashes: list[str]

    def step_of(self, code: str, now: datetime, *, after: int) -> int | None:
        """Return the time step of which this is the code, if that is now and after the one that was accepted last."""
        totp = pyotp.TOTP(self.secret)
        current = int(now.timestamp()) // _STEP_SECONDS
        # All are always compared, so that the time reveals nothing.
        steps = [current + offset for offset in _STEPS_AROUND]
        right = [step for step in steps if hmac.compare_digest(totp.generate_otp(step), code)]
        return next((step for step in right if step > after), None)

    def without(self, recovery_code: str) -> "Factor | None":
        """Return it with a recovery code used up; None where there is no such code left."""
        used = _hash(recovery_code)
        left = [each for each in self.recovery_hashes if not hmac.compare_digest(each, used)]
        return None if len(left) == len(self.recovery_hashes) else Factor(self.secret, left)


def new_factor() -> tuple[Factor, list[str]]:
    """Return a fresh second factor, and its recovery codes, of which only hashes are kept."""
    shown = [_new_recovery_code() for _ in range(RECOVERY_CODES)]
    return Factor(pyotp.random_base32(), [_hash(code) for code in shown]), shown


def uri_of(factor: Factor, email: str) -> str:
    """Return what an authenticator app opens."""
    return pyotp.TOTP(factor.secret).provisioning_uri(name=email, issuer_name=_ISSUER)


class FactorSeal:
    """Encrypts second factors.

    Args:
        secret: The key of what is sealed now is made from it.
        previous: The secret before it, which still opens what was sealed under it.
    """

    def __init__(self, secret: Secret, previous: Secret | None) -> None:
        keys = [_key(known) for known in (secret, previous) if known]
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self.name = hashlib.sha256(keys[0]).hexdigest()[:16]
        """Of the key of what is sealed now."""

    def close(self, factor: Factor) -> bytes:
        """Seal a second factor."""
        return self._fernet.encrypt(msgspec.json.encode(factor))

    def open(self, sealed: bytes) -> Factor | None:
        """Return a second factor; None if it was sealed under a secret that is no longer known."""
        try:
            return msgspec.json.decode(self._fernet.decrypt(sealed), type=Factor)
        except InvalidToken:
            return None


def _key(secret: Secret) -> bytes:
    digest = hmac.digest(secret.reveal().encode(), b"second factor", hashlib.sha256)
    return base64.urlsafe_b64encode(digest)


def _new_recovery_code() -> str:
    """80 random bits, which can be kept as a plain hash."""
    text = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, 16, 4))


def _hash(recovery_code: str) -> str:
    return hashlib.sha256(recovery_code.encode()).hexdigest()
