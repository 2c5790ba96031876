"""Which nonces were seen, so that a signed call is let in once."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from prometheus_client import Gauge

_NONCES = Gauge("gateway_nonces", "Nonces that are remembered.")
_NONCE_CAPACITY = Gauge("gateway_nonces_max", "Nonces that can be remembered at once.")


class NonceStoreUnavailable(Exception):
    """Nobody can tell now whether a nonce was seen, so no call may be let in."""


class NonceStore(Protocol):
    """Remembers nonces for at least twice the clock skew: so long can one signed call be valid."""

    async def claim(self, nonce: bytes) -> bool:
        """Record a nonce and tell whether it is new. Of many claims of one nonce, one is told True.

        Raises:
            NonceStoreUnavailable: The store cannot tell.
        """
        ...


class MemoryNonces:
    """Nonces of one process.

    Every nonce lives equally long, so the oldest expires first and each claim cleans up in constant time, amortised.
    A live nonce is never given up for a new one: a full store refuses instead.
    """

    def __init__(self, *, ttl_seconds: float, capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl_seconds = ttl_seconds
        self._capacity = capacity
        self._clock = clock
        self._seen_at: OrderedDict[bytes, float] = OrderedDict()
        _NONCES.set_function(self.__len__)
        _NONCE_CAPACITY.set(capacity)

    def __len__(self) -> int:
        return len(self._seen_at)

    async def claim(self, nonce: bytes) -> bool:
        """Record a nonce and tell whether it is new.

        Raises:
            NonceStoreUnavailable: As many live nonces as fit are recorded already.
        """
        now = self._clock()
        self._forget_seen_before(now - self._ttl_seconds)
        if nonce in self._seen_at:
            return False
        if len(self._seen_at) >= self._capacity:
            raise NonceStoreUnavailable
        self._seen_at[nonce] = now
        return True

    def _forget_seen_before(self, limit: float) -> None:
        while self._seen_at:
            nonce, seen_at = next(iter(self._seen_at.items()))
            if seen_at >= limit:
                return
            del self._seen_at[nonce]
