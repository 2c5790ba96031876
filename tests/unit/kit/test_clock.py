from datetime import UTC, timedelta

import psutil
import pytest

from b2b_chat.kit.clock import process_age_seconds, utc_now


def test_the_time_is_aware_and_goes_on() -> None:
    first, second = utc_now(), utc_now()
    assert first.tzinfo is UTC
    assert timedelta(0) <= second - first


def test_the_age_of_this_process_is_what_the_system_says() -> None:
    begun_at = psutil.Process().create_time()
    assert process_age_seconds() == pytest.approx(utc_now().timestamp() - begun_at, abs=2)
