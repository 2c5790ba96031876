"""Waits grow up to a cap, and differ."""

from itertools import islice

from b2b_chat.kit.backoff import backed_off


def test_waits_double_up_to_the_cap_and_vary_by_half() -> None:
    for waits in (list(islice(backed_off(0.25, cap_seconds=4), 12)) for _ in range(50)):
        for wait, longest in zip(waits, [0.25, 0.5, 1, 2, *[4] * 8], strict=True):
            assert longest / 2 <= wait <= longest
