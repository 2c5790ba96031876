"""Moving windows: the same whether in memory or in Valkey."""

import asyncio
import random
from collections import defaultdict

import pytest
from limits import RateLimitItemPerMinute

from b2b_chat.kit.settings import Secret
from b2b_chat.kit.valkey import Valkey
from b2b_chat.product.limits.memory import WindowsInMemory
from b2b_chat.product.limits.valkey import WindowsInValkey
from b2b_chat.product.limits.windows import Fill, Window, Windows, WindowsUnavailable

NOW = 1_800_000_000.25


@pytest.fixture(params=["memory", "valkey"])
def windows(request: pytest.FixtureRequest, valkey: Valkey) -> Windows:
    """Empty windows."""
    return WindowsInMemory() if request.param == "memory" else WindowsInValkey(valkey)


def window(amount: int, key: str = "key", namespace: str = "test") -> Window:
    return Window(RateLimitItemPerMinute(amount, namespace=namespace), key)


async def test_a_hit_leaves_its_window_when_it_is_older_than_it(windows: Windows) -> None:
    assert await windows.hit_all([window(2)], NOW) == [Fill(0, NOW)]
    assert await windows.hit_all([window(2)], NOW + 10) == [Fill(1, NOW)]
    assert await windows.hit_all([window(2)], NOW + 10) == [Fill(2, NOW)]
    assert await windows.hit_all([window(2)], NOW + 60) == [Fill(2, NOW)]
    assert await windows.hit_all([window(2)], NOW + 60.001) == [Fill(1, NOW + 10)]
    assert await windows.hit_all([window(2)], NOW + 60.001) == [Fill(2, NOW + 10)]


async def test_windows_are_apart(windows: Windows) -> None:
    await windows.hit_all([window(1, "one")], NOW)
    for other in (window(1, "two"), window(1, "one", "elsewhere")):
        assert await windows.hit_all([other], NOW) == [Fill(0, NOW)]
    assert await windows.hit_all([window(1, "one")], NOW) == [Fill(1, NOW)]


async def test_a_full_window_leaves_the_others_uncounted(windows: Windows) -> None:
    full, other = window(1, "full"), window(5, "other")
    assert await windows.hit_all([full, other], NOW) == [Fill(0, NOW), Fill(0, NOW)]
    for both in ([full, other], [other, full], [full, other]):
        await windows.hit_all(both, NOW + 1)
    assert await windows.hit_all([other], NOW + 2) == [Fill(1, NOW)]


async def test_of_many_at_once_as_many_are_admitted_as_there_is_room_for(windows: Windows) -> None:
    """Three windows each, the tightest of them different for each key: what is refused uses nothing up."""
    company = window(40, "company")
    users = [window(15, f"user {number}") for number in range(4)]
    wanted = [[user, company] for user in users for _ in range(50)]
    random.Random(7).shuffle(wanted)
    fills = await asyncio.gather(*[windows.hit_all(each, NOW) for each in wanted])
    admitted: defaultdict[str, int] = defaultdict(int)
    for each, fill in zip(wanted, fills, strict=True):
        admitted[each[0].key] += all(one.hits < part.item.amount for one, part in zip(fill, each, strict=True))
    assert sum(admitted.values()) == 40
    assert [(await windows.hit_all([user], NOW))[0].hits for user in users] == [admitted[user.key] for user in users]


async def test_every_moment_has_at_most_as_many_hits_behind_it_as_allowed(windows: Windows) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - to run it again
    chance, now = random.Random(seed), NOW
    admitted_at: list[float] = []
    for _ in range(300):
        now += chance.expovariate(1 / 3)
        (fill,) = await windows.hit_all([window(7)], now)
        behind = [at for at in admitted_at if at >= now - 60]
        assert fill == Fill(len(behind), behind[0] if behind else now)
        if len(behind) < 7:
            admitted_at.append(now)


async def test_valkey_forgets_windows_that_are_over_and_never_sees_an_address(valkey: Valkey) -> None:
    await WindowsInValkey(valkey).hit_all([window(5, "ann@example.test")], NOW)
    (key,) = await valkey.ask("KEYS", "*")
    assert key.startswith(b"product:limit:")
    assert b"ann" not in key
    assert 60 < await valkey.ask("TTL", key) <= 61


async def test_a_valkey_that_is_away_is_no_window() -> None:
    away = Valkey(Secret("valkey://127.0.0.1:9"), timeout_seconds=5, max_connections=1)
    with pytest.raises(WindowsUnavailable):
        await WindowsInValkey(away).hit_all([window(5)], NOW)
    await away.close()


async def test_a_hit_that_is_taken_back_was_never_counted(windows: Windows) -> None:
    first, second = window(2, "first"), window(2, "second")
    await windows.hit_all([first], NOW)
    await windows.hit_all([first, second], NOW + 1)
    await windows.take_back([first, second], NOW + 1)
    assert await windows.hit_all([first, second], NOW + 2) == [Fill(1, NOW), Fill(0, NOW + 2)]


async def test_a_hit_that_has_left_its_window_is_taken_back_without_an_error(windows: Windows) -> None:
    await windows.take_back([window(2)], NOW)
    await windows.hit_all([window(2)], NOW)
    await windows.hit_all([window(2)], NOW + 61)
    await windows.take_back([window(2)], NOW)
    assert await windows.hit_all([window(2)], NOW + 62) == [Fill(1, NOW + 61)]
