"""The live health of both services, for operators."""

import asyncio
import time
from importlib.metadata import version

from b2b_chat.kit.checkup import seconds_ahead_of
from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.kit.health import Readiness
from b2b_chat.product.chat.failures import AnswerFailed
from b2b_chat.product.chat.gateway_client import GatewayClient, PingRefused
from b2b_chat.product.operators.schemas import GatewayHealth, InstallationHealth, PartHealth, ProductHealth

_HALF_A_SECOND = 0.5
"""A clock that shows whole seconds is, on average, this far ahead of what it shows."""


class LiveHealth:
    """Looks at both services.

    Args:
        readiness: What this process needs.
        gateway: How it calls the gateway.
        timeout_seconds: How long the gateway may take to answer.
    """

    def __init__(
        self, readiness: Readiness, gateway: GatewayClient, timeout_seconds: float, *, clock: Clock = utc_now
    ) -> None:
        self._readiness = readiness
        self._gateway = gateway
        self._timeout_seconds = timeout_seconds
        self._clock = clock

    async def report(self) -> InstallationHealth:
        """Both services as they are now."""
        product, gateway = await asyncio.gather(self._product_health(), self._gateway_health())
        return InstallationHealth(self._clock(), product, gateway)

    async def _product_health(self) -> ProductHealth:
        parts = [PartHealth(name, problem) for name, problem in (await self._readiness.missing()).items()]
        return ProductHealth(version("b2b-chat"), all(part.problem is None for part in parts), parts)

    async def _gateway_health(self) -> GatewayHealth:
        began, now = time.monotonic(), self._clock()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                ping = await self._gateway.ping()
        except PingRefused as refused:
            behind = seconds_ahead_of(refused.date, self._clock())
            skew = None if behind is None else round(_HALF_A_SECOND - behind)
            return GatewayHealth("refused", refused.code, None, None, skew, time.monotonic() - began)
        except (AnswerFailed, TimeoutError):
            return GatewayHealth("unreachable", None, None, None, None, None)
        took_seconds = time.monotonic() - began
        asked_at = now.timestamp() + took_seconds / 2
        skew = round(ping.server_time + _HALF_A_SECOND - asked_at)
        return GatewayHealth("ready", None, ping.version, ping.model, skew, took_seconds)
