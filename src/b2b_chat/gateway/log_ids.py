"""How the four ids of a call appear in the gateway's log and spans, which are on disks abroad.

With the ids themselves, a log would show which person of which company wrote when. So a keyed hash stands for each: the
lines of one person or conversation still belong together visibly, and a holder of the secret finds those of an id.
"""

from collections.abc import Callable
from hashlib import blake2b, sha256
from uuid import UUID

from b2b_chat.gateway.settings import GatewaySettings

_HASH_BYTES = 12

_of: Callable[[UUID], str] = str


def configure_log_ids(settings: GatewaySettings) -> None:
    """Choose the form for this process, which has one log: hashes, or the ids where GATEWAY_LOG_IDS says so."""
    global _of  # noqa: PLW0603 - as the log is configured
    _of = str if settings.gateway_log_ids else hashed_by(settings.gateway_shared_secret.reveal())


def hashed_by(shared_secret: str) -> Callable[[UUID], str]:
    """Return the function that hashes ids under a key of its own, made from the shared secret."""
    key = sha256(b"b2b-chat log ids" + shared_secret.encode()).digest()
    return lambda value: blake2b(value.bytes, key=key, digest_size=_HASH_BYTES).hexdigest()


def logged(value: UUID) -> str:
    """Return an id as the log may hold it."""
    return _of(value)
