"""The nonces that were seen, so that a signed call is let in once."""

import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

import structlog
from prometheus_client import Gauge

from b2b_chat.contract.signing import StaleTimestamp
from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.kit.valkey import Script, Valkey, ValkeyUnavailable

log = structlog.get_logger(__name__)

_NONCES = Gauge("gateway_nonces", "Nonces that are remembered.")
_NONCE_CAPACITY = Gauge("gateway_nonces_max", "Nonces that can be remembered at once.")


class NonceStoreUnavailable(Exception):
    """The store cannot be asked whether a nonce was seen, so no call may be let in."""


class NonceStore(Protocol):
    """Remembers nonces for at least twice the clock skew, which is how long a signed call can be valid."""

    async def claim(self, nonce: bytes, signed_at: int) -> bool:
        """Record a nonce and return whether it is new. Of many claims of one nonce, one returns True.

        Args:
            nonce: Of a call whose signature and time are right.
            signed_at: The call's timestamp, in unix seconds.

        Raises:
            StaleTimestamp: The call is older than the store.
            NonceStoreUnavailable: The store cannot be asked.
        """
        ...


class MemoryNonces:
    """Nonces of one process.

    Every nonce lives equally long, so the oldest expires first and each claim cleans up in constant time, amortised.
    A live nonce is never given up for a new one: a full store refuses instead.

    The nonces of an earlier process are lost. So a call that such a process may have let in is refused: one that was
    signed before the store was born.

    Args:
        ttl_seconds: How long a nonce lives; at least twice the skew.
        capacity: Live nonces at once.
        born_at: In unix seconds, by the clocks of the callers.
        clock: By which nonces age.
    """

    def __init__(
        self,
        *,
        ttl_seconds: float,
        capacity: int,
        born_at: float = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._born_at = born_at
        self._ttl_seconds = ttl_seconds
        self._capacity = capacity
        self._clock = clock
        self._seen_at: OrderedDict[bytes, float] = OrderedDict()
        _NONCES.set_function(self.__len__)
        _NONCE_CAPACITY.set(capacity)

    def __len__(self) -> int:
        return len(self._seen_at)

    async def claim(self, nonce: bytes, signed_at: int) -> bool:
        """Record a nonce and return whether it is new.

        Raises:
            StaleTimestamp: An earlier process may have let this call in.
            NonceStoreUnavailable: As many live nonces as fit are recorded already.
        """
        if signed_at < self._born_at:
            raise StaleTimestamp
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


_BORN_KEY: Final = "gateway:nonces"
_NONCE_KEY: Final = b"gateway:nonce:"
_CLOCKS_APART_SECONDS: Final = 1
"""How far the clocks of the gateways and of Valkey may differ."""

_NEW, _SEEN, _BORN, _FORGETFUL = 1, 0, -2, -3
_CLAIM: Final = Script("""
local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local known, born_at = string.match(redis.call('GET', KEYS[1]) or '', '^(%x+) (.+)$')
if known ~= history then
  local memory = redis.call('INFO', 'memory')
  local is_bounded = string.match(memory, 'maxmemory:(%d+)') ~= '0'
  if is_bounded and string.match(memory, 'maxmemory_policy:([%w-]+)') ~= 'noeviction' then return -3 end
  born_at = math.max(tonumber(ARGV[1]), tonumber(redis.call('TIME')[1]) + 1)
  redis.call('SET', KEYS[1], history .. ' ' .. string.format('%.3f', born_at))
  return -2
end
if tonumber(ARGV[2]) <= tonumber(born_at) + tonumber(ARGV[3]) then return -1 end
if redis.call('SET', KEYS[2], '', 'NX', 'PX', ARGV[4]) then return 1 end
return 0
""")


class ValkeyNonces:
    """Nonces that all workers and machines of a gateway share, at one round trip a call.

    Valkey can lose what it holds: by FLUSHALL, by a restart (also one from disk, which lacks the last second), by
    failing over to a replica that lags behind. So beside the nonces there is a key that records when the store was
    born, and in which history of Valkey's: `master_replid`, which Valkey changes at each start and each failover. The
    script reads that first. If the key is gone or names another history, the store is born now.

    No call is let in twice. Suppose one is, at moments a < b. Its nonce was recorded at a and is not there at b.

    * It may have expired. It lives for the clock skew twice, and longer by what a claim may wait and clocks may differ.
      By then the timestamp is outside the skew, which is checked before.
    * It may have been lost at a moment e between a and b. What loses nonces also loses the key beside them or begins
      another history, so the store in use at b was born after e, at a time not before that of any gateway's clock at a,
      give or take what clocks differ by. At a the call's timestamp was at most the clock skew ahead of the clock. So it
      is not after the birth by more than skew and difference, and such calls are refused.

    A caller whose clock is right is thus refused for about the clock skew after Valkey lost its memory, retryably. The
    script runs as one step, so this holds whatever workers race. What it needs: one primary at a time, clocks that keep
    together, and a Valkey that throws no living keys out, which is checked at each birth.

    Args:
        valkey: Holds the nonces.
        ttl_seconds: How long; at least twice the skew.
        skew_seconds: What timestamps may differ by from the clock.
        timeout_seconds: How long a claim may wait for Valkey.
        clock: By which signatures are judged.
    """

    def __init__(
        self, valkey: Valkey, *, ttl_seconds: int, skew_seconds: int, timeout_seconds: float, clock: Clock = utc_now
    ) -> None:
        self._valkey = valkey
        self._clock = clock
        self._young_seconds = skew_seconds + _CLOCKS_APART_SECONDS
        self._kept_milliseconds = int((ttl_seconds + _CLOCKS_APART_SECONDS + timeout_seconds) * 1000)

    async def claim(self, nonce: bytes, signed_at: int) -> bool:
        """Record a nonce and return whether it is new.

        Raises:
            NonceStoreUnavailable: Valkey does not answer, or is so new that this call may have been let in before.
        """
        now = self._clock().timestamp()
        try:
            outcome = await self._valkey.run(
                _CLAIM,
                (_BORN_KEY, _NONCE_KEY + nonce),
                (now, signed_at, self._young_seconds, self._kept_milliseconds),
            )
        except ValkeyUnavailable:
            raise NonceStoreUnavailable from None
        if outcome == _BORN:
            log.warning("nonce_store_empty")
        elif outcome == _FORGETFUL:
            log.error("nonce_store_evicts", variable="VALKEY_URL")
        if outcome < _SEEN:
            raise NonceStoreUnavailable
        return bool(outcome == _NEW)

    async def notice_loss(self) -> None:
        """Notice an empty store before the first call does, so that the refusals end earlier."""
        with suppress(NonceStoreUnavailable):
            await self.claim(b"", 0)
