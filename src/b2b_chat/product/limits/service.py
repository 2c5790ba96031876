"""How often something may be asked for."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Final

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.storage import Storage
from limits.aio.strategies import MovingWindowRateLimiter
from msgspec import Struct
from prometheus_client import Counter

from b2b_chat.kit.errors import Refusal
from b2b_chat.product.identity.viewer import Viewer
from b2b_chat.product.limits.client_ip import limited_as

Headers = dict[str, str]

_LIMITED = Counter("product_limited", "Requests that were over a limit, by the limit.", ["limit"])

_GUESSES_PER_EMAIL_AND_HOUR: Final = 20


class RateLimited(Refusal):
    """Too many requests in too short a time."""

    code, status = "rate_limited", 429
    message = "Too many requests. Try again when the time in Retry-After has passed."

    def __init__(self, retry_after_seconds: int = 1, headers: Headers | None = None) -> None:
        super().__init__(headers={"Retry-After": str(retry_after_seconds), **(headers or {})})


class Rates(Struct, frozen=True):
    """How many requests there may be."""

    chat_per_company_and_minute: int
    chat_per_user_and_minute: int
    chat_per_ip_and_minute: int
    login_per_ip_and_minute: int
    link_per_email_and_ip_and_hour: int
    link_per_email_and_hour: int
    invite_per_company_and_hour: int


class _Quota(Struct, frozen=True):
    name: str
    item: RateLimitItem
    key: str


class ChatAdmission:
    """Whether one chat may be sent. A retry is not counted, and has no headers."""

    def __init__(self, limits: "Limits", viewer: Viewer, client_ip: str) -> None:
        self.headers: Headers = {}
        """What the answer tells of the limits."""
        self._limits = limits
        self._viewer = viewer
        self._client_ip = client_ip

    async def count(self) -> None:
        """Count the chat.

        Raises:
            RateLimited: As `Limits.admit_chat`.
        """
        self.headers = await self._limits.admit_chat(self._viewer, self._client_ip)


class Limits:
    """Counts requests, and refuses those beyond the rates.

    A request is counted when it is admitted; a refused one uses nothing up, so that waiting as long as `Retry-After`
    says is long enough for a client that is alone.

    Args:
        storage: Where hits are counted: `WindowsInMemory`, or the library's `ValkeyStorage` for several processes.
        rates: How many requests there may be.
        time_source: Seconds since the epoch, by the storage's clock.
    """

    def __init__(self, storage: Storage, rates: Rates, time_source: Callable[[], float] = time.time) -> None:
        self._windows = MovingWindowRateLimiter(storage)
        self._now = time_source
        self._chat_company = RateLimitItemPerMinute(rates.chat_per_company_and_minute, namespace="chat-company")
        self._chat_user = RateLimitItemPerMinute(rates.chat_per_user_and_minute, namespace="chat-user")
        self._chat_ip = RateLimitItemPerMinute(rates.chat_per_ip_and_minute, namespace="chat-ip")
        self._login_ip = RateLimitItemPerMinute(rates.login_per_ip_and_minute, namespace="login-ip")
        self._link_pair = RateLimitItemPerHour(rates.link_per_email_and_ip_and_hour, namespace="link-pair")
        self._link_email = RateLimitItemPerHour(rates.link_per_email_and_hour, namespace="link-email")
        self._invite_company = RateLimitItemPerHour(rates.invite_per_company_and_hour, namespace="invite-company")
        self._guess_email = RateLimitItemPerHour(_GUESSES_PER_EMAIL_AND_HOUR, namespace="guess-email")

    def chat_admission(self, viewer: Viewer, client_ip: str) -> "ChatAdmission":
        """The admission of a chat that may turn out to be new."""
        return ChatAdmission(self, viewer, client_ip)

    async def admit_chat(self, viewer: Viewer, client_ip: str) -> Headers:
        """Count a chat, and return the `RateLimit` headers for its answer.

        Raises:
            RateLimited: The viewer, his address or his company sends too many.
        """
        return await self._admit(
            _Quota("user", self._chat_user, str(viewer.user_id)),
            _Quota("ip", self._chat_ip, limited_as(client_ip)),
            _Quota("company", self._chat_company, str(viewer.company_id)),
        )

    async def admit_link_request(self, client_ip: str) -> Headers:
        """Count a request for a link. It depends on where it comes from, and never on the mail address in it.

        Raises:
            RateLimited: Too many come from there.
        """
        return await self._admit(_Quota("ip", self._login_ip, limited_as(client_ip)))

    async def allows_link(self, email: str, client_ip: str) -> bool:
        """Count a link for a mail address, and tell whether it may be sent. The one who asks is not told."""
        try:
            await self._admit(
                _Quota("email-ip", self._link_pair, f"{email} {limited_as(client_ip)}"),
                _Quota("email", self._link_email, email),
            )
        except RateLimited:
            return False
        return True

    async def admit_login(self, client_ip: str, email: str | None) -> Headers:
        """Count an attempt to sign in: for a code that is guessed, also by the address whose code it would be.

        Raises:
            RateLimited: Too many come from there, or too many guesses are made for the address, known or not.
        """
        quotas = [_Quota("ip", self._login_ip, limited_as(client_ip))]
        if email is not None:
            quotas.append(_Quota("email", self._guess_email, email))
        return await self._admit(*quotas)

    async def admit_invite(self, viewer: Viewer) -> Headers:
        """Count an invite that is about to be mailed, for the first time or again.

        Raises:
            RateLimited: The viewer's company has too many mailed.
        """
        return await self._admit(_Quota("company", self._invite_company, str(viewer.company_id)))

    async def _admit(self, *quotas: _Quota) -> Headers:
        stats = [await self._windows.get_window_stats(quota.item, quota.key) for quota in quotas]
        full = [stat.reset_time for stat in stats if stat.remaining <= 0]
        if not full:
            # In memory nothing comes between the look and the hit; elsewhere another process may have been quicker.
            hits = [await self._windows.hit(quota.item, quota.key) for quota in quotas]
            if not all(hits):
                full = [
                    (await self._windows.get_window_stats(quota.item, quota.key)).reset_time
                    for quota, hit in zip(quotas, hits, strict=True)
                    if not hit
                ]
        remaining = [max(0, stat.remaining - (not full)) for stat in stats]
        headers = _headers(quotas, remaining, [self._wait(stat.reset_time) for stat in stats])
        if full:
            for quota, left in zip(quotas, remaining, strict=True):
                if not left:
                    _LIMITED.labels(quota.item.namespace).inc()
            raise RateLimited(self._wait(max(full)), headers)
        return headers

    def _wait(self, reset_at: float) -> int:
        """Whole seconds after which a moment has passed for sure."""
        return max(0, math.floor(reset_at - self._now())) + 1


def _headers(quotas: Sequence[_Quota], remaining: Sequence[int], waits: Sequence[int]) -> Headers:
    """The fields of draft-ietf-httpapi-ratelimit-headers, in its version of structured fields (08 and later)."""
    policies = [f'"{quota.name}";q={quota.item.amount};w={quota.item.get_expiry()}' for quota in quotas]
    states = [f'"{quota.name}";r={left};t={wait}' for quota, left, wait in zip(quotas, remaining, waits, strict=True)]
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}
