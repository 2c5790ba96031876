"""Rate limits of requests."""

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from msgspec import structs
from prometheus_client import Counter

from b2b_chat.product.limits.client_ip import limited_as, site_of
from b2b_chat.product.limits.mailboxes import limited_domain_of, mailbox_of
from b2b_chat.product.limits.memory import WindowsInMemory
from b2b_chat.product.limits.windows import Window, Windows, WindowsUnavailable
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.viewer import Viewer

Headers = dict[str, str]

_LIMITED = Counter("product_limited", "Requests that were over a limit, by the limit.", ["limit"])


class RateLimited(Refusal):
    """Too many requests in too short a time."""

    code, status = "rate_limited", 429
    retryable = True
    message = "Too many requests. Try again when the time in Retry-After has passed."

    def __init__(self, retry_after_seconds: int = 1, headers: Headers | None = None) -> None:
        super().__init__(headers={"Retry-After": str(retry_after_seconds), **(headers or {})})


class LimitsUnavailable(Refusal):
    """The rate limiter is unreachable, and without it no one may sign in or invite."""

    code, status = "limits_unavailable", 503
    retryable = True
    message = "This cannot be done now. Try again in a moment."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "2"})


class Counted(NamedTuple):
    """A request that was counted."""

    headers: Headers
    """Of its answer; they state the limits."""
    take_back: Callable[[], Awaitable[None]]
    """Uncounts it, for one that came to nothing."""


class _Quota(Window, frozen=True):
    label: str
    """Its name in the response's headers."""


class Limits:
    """Counts requests, and refuses those beyond the rates.

    A request is counted when it is admitted. A refused one uses nothing up, so that a client that is alone gets through
    after the wait of `Retry-After`.

    Args:
        windows: Where hits are counted.
        settings: How many requests there may be.
        time_source: Seconds since the epoch.
    """

    def __init__(
        self, windows: Windows, settings: ProductSettings, time_source: Callable[[], float] = time.time
    ) -> None:
        self._windows = windows
        self._own_windows = WindowsInMemory()
        self._now = time_source
        self._local_percent = settings.chat_local_limit_percent
        self._chat_company = RateLimitItemPerMinute(settings.chat_rpm_per_company, namespace="chat-company")
        self._chat_user = RateLimitItemPerMinute(settings.chat_rpm_per_user, namespace="chat-user")
        self._chat_ip = RateLimitItemPerMinute(settings.chat_rpm_per_ip, namespace="chat-ip")
        self._read_company = RateLimitItemPerMinute(settings.read_rpm_per_company, namespace="read-company")
        self._read_user = RateLimitItemPerMinute(settings.read_rpm_per_user, namespace="read-user")
        self._preview_user = RateLimitItemPerMinute(settings.masking_preview_rpm_per_user, namespace="preview-user")
        self._login_ip = RateLimitItemPerMinute(settings.login_rpm_per_ip, namespace="login-ip")
        times = settings.ipv6_site_limit_times
        self._chat_site = RateLimitItemPerMinute(times * settings.chat_rpm_per_ip, namespace="chat-site")
        self._login_site = RateLimitItemPerMinute(times * settings.login_rpm_per_ip, namespace="login-site")
        self._invite_company = RateLimitItemPerHour(settings.invite_mails_per_company_hour, namespace="invite-company")
        self._invite_mailbox = RateLimitItemPerHour(settings.invite_mails_per_mailbox_hour, namespace="invite-mailbox")
        self._invite_domain = RateLimitItemPerHour(settings.invite_mails_per_domain_hour, namespace="invite-domain")

    async def admit_chat(self, viewer: Viewer, client_ip: str) -> Counted:
        """Count a chat.

        While the shared count is unreachable, this process admits a small share of the limits by its own count.

        Raises:
            RateLimited: The viewer, their address or their company sends too many.
        """
        quotas = (
            _Quota(self._chat_user, str(viewer.user_id), "user"),
            *_by_ip(client_ip, self._chat_ip, self._chat_site),
            _Quota(self._chat_company, str(viewer.company_id), "company"),
        )
        return await self._admit_always(*quotas)

    async def admit_read(self, viewer: Viewer) -> None:
        """Count a request that reads; where the shared count is away, as `admit_chat`.

        Raises:
            RateLimited: The viewer or their company sends too many.
        """
        quotas = [_Quota(self._read_user, str(viewer.user_id), "user")]
        if viewer.acting_in is not None:
            quotas.append(_Quota(self._read_company, str(viewer.acting_in), "company"))
        await self._admit_always(*quotas)

    async def admit_preview(self, viewer: Viewer) -> Headers:
        """Count a preview, by this process alone: it costs this process's time.

        Raises:
            RateLimited: The viewer asks for too many.
        """
        quota = _Quota(self._preview_user, str(viewer.user_id), "user")
        return await self._admit(quota, windows=self._own_windows)

    async def admit_stranger(self, client_ip: str) -> Headers:
        """Count a request of signing in before its body is read, by where it comes from, whatever is in it.

        Raises:
            RateLimited: Too many come from there.
        """
        return await self._admit(*_by_ip(client_ip, self._login_ip, self._login_site))

    async def admit_invite(self, viewer: Viewer, email: str) -> Headers:
        """Count an invite that is about to be mailed to a canonical address, for the first time or again.

        Raises:
            RateLimited: The viewer's company has too many mailed, or the mailbox or its domain gets too many.
        """
        quotas = [
            _Quota(self._invite_company, str(viewer.company_id), "company"),
            _Quota(self._invite_mailbox, mailbox_of(email), "mailbox"),
        ]
        domain = limited_domain_of(email)
        if domain is not None:
            quotas.append(_Quota(self._invite_domain, domain, "domain"))
        return await self._admit(*quotas)

    async def _admit_always(self, *quotas: _Quota) -> Counted:
        """Count by this process's own small share where the shared count is away."""
        now = self._now()
        try:
            headers = await self._count(self._windows, quotas, now)
        except LimitsUnavailable:
            quotas = tuple(map(self._local, quotas))
            headers = await self._count(self._own_windows, quotas, now)
            return Counted(headers, partial(_take_back, self._own_windows, quotas, now))
        return Counted(headers, partial(_take_back, self._windows, quotas, now))

    async def _admit(self, *quotas: _Quota, windows: Windows | None = None) -> Headers:
        return await self._count(windows or self._windows, quotas, self._now())

    async def _count(self, windows: Windows, quotas: Sequence[_Quota], now: float) -> Headers:
        try:
            fills = await windows.hit_all(quotas, now)
        except WindowsUnavailable:
            raise LimitsUnavailable from None
        over_at = [fill.oldest_at + quota.item.get_expiry() for quota, fill in zip(quotas, fills, strict=True)]
        left = [quota.item.amount - fill.hits for quota, fill in zip(quotas, fills, strict=True)]
        full = [at for at, remaining in zip(over_at, left, strict=True) if remaining <= 0]
        headers = _headers(quotas, [max(0, remaining - (not full)) for remaining in left], [*map(self._wait, over_at)])
        if full:
            for quota, remaining in zip(quotas, left, strict=True):
                if remaining <= 0:
                    _LIMITED.labels(quota.item.namespace).inc()
            raise RateLimited(self._wait(max(full)), headers)
        return headers

    def _local(self, quota: _Quota) -> _Quota:
        """Return the share of a quota that this process may admit by itself."""
        amount = max(1, quota.item.amount * self._local_percent // 100)
        return structs.replace(quota, item=RateLimitItemPerMinute(amount, namespace=quota.item.namespace))

    def _wait(self, reset_at: float) -> int:
        """Return whole seconds after which a moment has passed for sure."""
        return max(0, math.floor(reset_at - self._now())) + 1


async def _take_back(windows: Windows, quotas: Sequence[_Quota], hit_at: float) -> None:
    with suppress(WindowsUnavailable):  # then the request stays counted
        await windows.take_back(quotas, hit_at)


def _by_ip(client_ip: str, by_address: RateLimitItem, by_site: RateLimitItem) -> list[_Quota]:
    """Return the quotas of an address: an IPv6 one is also counted with all of its /48."""
    quotas = [_Quota(by_address, limited_as(client_ip), "ip")]
    site = site_of(client_ip)
    if site is not None:
        quotas.append(_Quota(by_site, site, "site"))
    return quotas


def _headers(quotas: Sequence[_Quota], remaining: Sequence[int], waits: Sequence[int]) -> Headers:
    """The fields of draft-ietf-httpapi-ratelimit-headers, in its version of structured fields (08 and later)."""
    policies = [f'"{quota.label}";q={quota.item.amount};w={quota.item.get_expiry()}' for quota in quotas]
    states = [f'"{quota.label}";r={left};t={wait}' for quota, left, wait in zip(quotas, remaining, waits, strict=True)]
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}
