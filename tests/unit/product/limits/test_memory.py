from limits import RateLimitItemPerMinute

from b2b_chat.product.limits.memory import WindowsInMemory
from b2b_chat.product.limits.windows import Fill, Window


async def test_windows_that_are_over_are_forgotten() -> None:
    """However many strangers come by, memory holds those of the last window or two."""
    windows, now = WindowsInMemory(), 1000.0
    for number in range(50_000):
        now += 0.1
        await windows.hit_all([Window(RateLimitItemPerMinute(10), str(number))], now)
        assert len(windows._hits) <= 2048
    assert len(windows._hits) == len(windows._over_at)
    assert await windows.hit_all([Window(RateLimitItemPerMinute(10), "49999")], now) == [Fill(1, now)]
