import re
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from b2b_chat.product.limits.memory import WindowsInMemory
from b2b_chat.product.limits.service import Limits, LimitsUnavailable, RateLimited
from b2b_chat.product.limits.windows import Fill, Window, WindowsUnavailable
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import SCOPES_OF_ROLES, Role
from support.product.app import product_settings

SETTINGS = product_settings(
    chat_rpm_per_company=5,
    chat_rpm_per_user=3,
    chat_rpm_per_ip=4,
    login_rpm_per_ip=3,
    ipv6_site_limit_times=2,
    invite_mails_per_company_hour=4,
    invite_mails_per_mailbox_hour=2,
    invite_mails_per_domain_hour=3,
    chat_local_limit_percent=34,
)
STATE = re.compile(r'"(\w+)";r=(\d+);t=(\d+)')


class Time:
    """Seconds since the epoch, moved by the test. It stands still, so a hit is over a second after its minute."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.25

    def __call__(self) -> float:
        return self.now


def make(time: Callable[[], float], **changes: int) -> Limits:
    return Limits(WindowsInMemory(), structs.replace(SETTINGS, **changes), time)


def a_viewer(company_id: UUID | None = None) -> Viewer:
    return Viewer(
        user_id=uuid4(), via="session", credential_id=uuid4(), acting_in=company_id or uuid4(), obstacle=None,
        role=Role.MEMBER, scopes=SCOPES_OF_ROLES[Role.MEMBER], is_operator=False,
    )  # fmt: skip


async def wait_of(refused: Any) -> int:
    with pytest.raises(RateLimited) as raised:
        await refused
    return int(raised.value.headers["Retry-After"])


async def test_a_user_may_send_so_many_a_minute() -> None:
    time, viewer = Time(), a_viewer()
    limits = make(time)
    for left in (2, 1, 0):
        headers = (await limits.admit_chat(viewer, "192.0.2.1")).headers
        assert headers["RateLimit-Policy"] == '"user";q=3;w=60, "ip";q=4;w=60, "company";q=5;w=60'
        assert STATE.findall(headers["RateLimit"]) == [
            ("user", str(left), "61"), ("ip", str(left + 1), "61"), ("company", str(left + 2), "61")
        ]  # fmt: skip
    assert await wait_of(limits.admit_chat(viewer, "192.0.2.1")) == 61


async def test_an_address_is_limited_across_its_users() -> None:
    limits = make(Time())
    for _ in range(4):
        await limits.admit_chat(a_viewer(), "192.0.2.1")
    await wait_of(limits.admit_chat(a_viewer(), "192.0.2.1"))
    await limits.admit_chat(a_viewer(), "192.0.2.2")


async def test_a_company_is_limited_over_all_its_users() -> None:
    limits, company_id = make(Time()), uuid4()
    for number in range(5):
        await limits.admit_chat(a_viewer(company_id), f"192.0.2.{number}")
    await wait_of(limits.admit_chat(a_viewer(company_id), "192.0.2.9"))
    await limits.admit_chat(a_viewer(), "192.0.2.9")


async def test_the_refusal_says_which_limit_is_used_up() -> None:
    limits, viewer = make(Time()), a_viewer()
    for _ in range(3):
        await limits.admit_chat(viewer, "192.0.2.1")
    with pytest.raises(RateLimited) as raised:
        await limits.admit_chat(viewer, "192.0.2.1")
    left = {name: int(remaining) for name, remaining, _ in STATE.findall(raised.value.headers["RateLimit"])}
    assert left == {"user": 0, "ip": 1, "company": 2}


async def test_what_is_refused_uses_nothing_up() -> None:
    limits, company_id = make(Time(), chat_rpm_per_user=1), uuid4()
    eager = a_viewer(company_id)
    await limits.admit_chat(eager, "192.0.2.1")
    for _ in range(20):
        await wait_of(limits.admit_chat(eager, "192.0.2.1"))
    for _ in range(3):
        await limits.admit_chat(a_viewer(company_id), "192.0.2.1")


@given(
    gaps=st.lists(st.floats(0, 90, allow_subnormal=False), min_size=1, max_size=60),
    user=st.integers(1, 6),
    ip=st.integers(1, 6),
    company=st.integers(1, 6),
)
async def test_waiting_for_retry_after_is_never_too_short(gaps: list[float], user: int, ip: int, company: int) -> None:
    time, viewer = Time(), a_viewer()
    limits = make(time, chat_rpm_per_user=user, chat_rpm_per_ip=ip, chat_rpm_per_company=company)
    admitted: list[float] = []
    for gap in gaps:
        time.now += gap
        try:
            await limits.admit_chat(viewer, "192.0.2.1")
        except RateLimited as refusal:
            wait = int(refusal.headers["Retry-After"])
            assert 1 <= wait <= 61
            time.now += wait
            await limits.admit_chat(viewer, "192.0.2.1")
        admitted.append(time.now)
    smallest = min(user, ip, company)
    for first, later in zip(admitted, admitted[smallest:], strict=False):
        assert later - first >= 60  # never more than the smallest limit within a minute


async def test_requests_for_links_are_limited_by_where_they_come_from() -> None:
    time = Time()
    limits = make(time)
    for _ in range(2):
        await limits.admit_stranger("192.0.2.1")
    headers = await limits.admit_stranger("192.0.2.1")
    assert headers["RateLimit"] == '"ip";r=0;t=61'
    wait = await wait_of(limits.admit_stranger("192.0.2.1"))
    await wait_of(limits.admit_stranger("192.0.2.1"))
    time.now += wait
    await limits.admit_stranger("192.0.2.1")


async def test_a_site_of_many_ipv6_networks_is_limited_as_a_whole() -> None:
    """Twice what one address may: 6 requests for links and 8 chats from 2001:db8::/48, however many of it ask."""
    limits = make(Time())
    for number in range(6):
        await limits.admit_stranger(f"2001:db8:0:{number}::1")
    await wait_of(limits.admit_stranger("2001:db8:0:99::1"))
    await wait_of(limits.admit_stranger("2001:db8:0:98::1"))
    await limits.admit_stranger("2001:db8:1::1")
    for number in range(8):
        await limits.admit_chat(a_viewer(), f"2001:db8:0:{number}::1")
    await wait_of(limits.admit_chat(a_viewer(), "2001:db8:0:99::1"))
    await limits.admit_chat(a_viewer(), "2001:db8:1::1")


async def test_invites_are_limited_by_company_mailbox_and_domain() -> None:
    limits, viewer = make(Time()), a_viewer()
    for email in ("ann@gmail.com", "a.nn+1@googlemail.com"):
        await limits.admit_invite(viewer, email)
    assert await wait_of(limits.admit_invite(a_viewer(), "ann+2@gmail.com")) == 3601
    for number in range(3):
        await limits.admit_invite(a_viewer(), f"{number}@example.test")
    await wait_of(limits.admit_invite(a_viewer(), "4@example.test"))
    for number in range(2):
        await limits.admit_invite(viewer, f"{number}@mail.ru")
    await wait_of(limits.admit_invite(viewer, "2@mail.ru"))
    await limits.admit_invite(a_viewer(), "2@mail.ru")


class WindowsThatGoAway(WindowsInMemory):
    """Shared windows that cannot be reached while the test says so."""

    is_away = False

    async def hit_all(self, windows: Sequence[Window], now: float) -> list[Fill]:
        if self.is_away:
            raise WindowsUnavailable
        return await super().hit_all(windows, now)


async def test_while_the_shared_count_is_away_each_process_admits_a_share_of_its_own() -> None:
    """34 % of 3, 4 and 5 chats is 1 of each; then the whole of the shared limits again."""
    time, windows = Time(), WindowsThatGoAway()
    limits = Limits(windows, SETTINGS, time)
    viewer = a_viewer()
    await limits.admit_chat(viewer, "192.0.2.1")
    windows.is_away = True
    headers = (await limits.admit_chat(viewer, "192.0.2.1")).headers
    assert headers["RateLimit-Policy"] == '"user";q=1;w=60, "ip";q=1;w=60, "company";q=1;w=60'
    assert await wait_of(limits.admit_chat(viewer, "192.0.2.1")) == 61
    assert await wait_of(limits.admit_chat(a_viewer(viewer.acting_in), "192.0.2.2")) == 61
    await limits.admit_chat(a_viewer(), "192.0.2.3")
    windows.is_away = False
    for _ in range(2):
        await limits.admit_chat(viewer, "192.0.2.1")
    await wait_of(limits.admit_chat(viewer, "192.0.2.1"))


async def test_sign_in_and_invites_are_refused_while_the_shared_count_is_unreachable() -> None:
    windows = WindowsThatGoAway()
    limits = Limits(windows, SETTINGS, Time())
    windows.is_away = True
    for refused in (
        limits.admit_stranger("192.0.2.1"),
        limits.admit_stranger("192.0.2.1"),
        limits.admit_invite(a_viewer(), "ann@example.test"),
    ):
        with pytest.raises(LimitsUnavailable) as raised:
            await refused
        assert raised.value.status == 503
        assert raised.value.headers == {"Retry-After": "2"}
    windows.is_away = False
    await limits.admit_stranger("192.0.2.1")
