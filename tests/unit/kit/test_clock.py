from datetime import UTC, timedelta

from b2b_chat.kit.clock import utc_now


def test_the_time_is_aware_and_goes_on() -> None:
    first, second = utc_now(), utc_now()
    assert first.tzinfo is UTC
    assert timedelta(0) <= second - first
