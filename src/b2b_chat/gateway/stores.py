"""The stores that outlive a call: in the process's memory, or in Valkey, which workers and machines share."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

from b2b_chat.gateway.idempotency import MemoryRecords, Records, ValkeyRecords
from b2b_chat.gateway.nonces import MemoryNonces, NonceStore, ValkeyNonces
from b2b_chat.gateway.settings import GatewaySettings
from b2b_chat.kit.background import repeat, running
from b2b_chat.kit.clock import Clock, process_age_seconds
from b2b_chat.kit.health import Check
from b2b_chat.kit.valkey import Valkey, valkey_of

_NOTICE_LOSS_EVERY_SECONDS: Final = 5
_Work = Callable[[], Coroutine[Any, Any, None]]


class Stores:
    """The nonces and the records of one process."""

    nonces: NonceStore
    records: Records

    def __init__(self, settings: GatewaySettings, clock: Clock) -> None:
        self._settings = settings
        self._valkey = valkey_of(settings)
        self._upkeep: list[_Work] = []
        self._clock = clock
        self._opens_at = 0.0
        if self._valkey is None:
            self._use_own()
        else:
            self._use(self._valkey, clock)

    @property
    def checks(self) -> dict[str, Check]:
        """The checks of `/ready`."""
        return {} if self._valkey is None else {"valkey": self._valkey.check}

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renew leases and watch the nonces until the block ends; then close the connections.

        The block begins when the calls of callers whose clocks are right are as young as the nonces.
        """
        await asyncio.sleep(self._opens_at - self._clock().timestamp())
        try:
            async with running(*[work() for work in self._upkeep]):
                yield
        finally:
            if self._valkey is not None:
                await self._valkey.close()

    def _use_own(self) -> None:
        settings = self._settings
        # What was there before us let nothing in once this process had started. Timestamps are whole seconds.
        started_at = self._clock().timestamp() - process_age_seconds()
        self._opens_at = math.floor(started_at + settings.gateway_callers_ahead_seconds) + 1
        self.nonces = MemoryNonces(
            ttl_seconds=settings.gateway_nonce_ttl_seconds,
            capacity=settings.gateway_nonce_capacity,
            born_at=self._opens_at,
        )
        self.records = MemoryRecords(
            ttl_seconds=settings.gateway_idempotency_ttl_seconds, capacity_bytes=settings.gateway_idempotency_max_bytes
        )

    def _use(self, valkey: Valkey, clock: Clock) -> None:
        settings = self._settings
        self.nonces = nonces = ValkeyNonces(
            valkey,
            ttl_seconds=settings.gateway_nonce_ttl_seconds,
            skew_seconds=settings.gateway_clock_skew_seconds,
            timeout_seconds=settings.valkey_timeout_seconds,
            clock=clock,
        )
        self.records = records = ValkeyRecords(
            valkey,
            ttl_seconds=settings.gateway_idempotency_ttl_seconds,
            capacity_bytes=settings.gateway_idempotency_max_bytes,
            lease_seconds=settings.gateway_in_flight_lease_seconds,
        )
        self._upkeep = [
            lambda: repeat(nonces.notice_loss, every_seconds=_NOTICE_LOSS_EVERY_SECONDS),
            records.keep_leases,
        ]
