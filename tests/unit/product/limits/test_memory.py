from b2b_chat.product.limits.memory import WindowsInMemory


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_hit_leaves_its_window_when_it_is_older_than_it() -> None:
    time = Time()
    windows = WindowsInMemory(time)
    assert await windows.acquire_entry("key", 2, 60)
    time.now += 10
    assert await windows.acquire_entry("key", 2, 60)
    assert not await windows.acquire_entry("key", 2, 60)
    assert await windows.get_moving_window("key", 2, 60) == (1000.0, 2)
    time.now = 1060.0
    assert not await windows.acquire_entry("key", 2, 60)
    time.now = 1060.001
    assert await windows.acquire_entry("key", 2, 60)
    assert await windows.get_moving_window("key", 2, 60) == (1010.0, 2)


async def test_keys_are_apart() -> None:
    windows = WindowsInMemory(Time())
    assert await windows.acquire_entry("one", 1, 60)
    assert await windows.acquire_entry("two", 1, 60)
    assert not await windows.acquire_entry("one", 1, 60)
    assert await windows.get_moving_window("three", 1, 60) == (1000.0, 0)


async def test_what_costs_more_than_is_left_takes_nothing() -> None:
    windows = WindowsInMemory(Time())
    assert not await windows.acquire_entry("key", 2, 60, amount=3)
    assert await windows.acquire_entry("key", 2, 60, amount=2)


async def test_keys_that_are_over_are_forgotten() -> None:
    """However many strangers come by, memory holds those of the last window or two."""
    time = Time()
    windows = WindowsInMemory(time)
    for number in range(50_000):
        time.now += 0.1
        await windows.acquire_entry(f"key {number}", 10, 60)
        assert len(windows._hits) <= 2048
    assert len(windows._hits) == len(windows._over_at)
    assert await windows.get_moving_window("key 49999", 10, 60) == (time.now, 1)
