import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2b_chat.contract.errors import FAILURES, INVALID_REQUEST, Code
from b2b_chat.gateway.errors import UpstreamFailure
from b2b_chat.gateway.retries import RetryPolicy, read_retry_after

NOW = 1_764_000_000.0

always_longest = RetryPolicy(max_attempts=5, base_seconds=0.5, cap_seconds=3, uniform=lambda _, high: high)
failed = UpstreamFailure("upstream_failed")


def limited(seconds: float) -> UpstreamFailure:
    return UpstreamFailure("upstream_rate_limited", retry_after_seconds=seconds)


def test_the_bound_of_the_wait_doubles_up_to_the_cap() -> None:
    assert [always_longest.wait_seconds(attempt, failed) for attempt in (1, 2, 3, 4)] == [0.5, 1, 2, 3]


def test_the_last_attempt_is_the_last() -> None:
    assert always_longest.wait_seconds(5, failed) is None


def test_one_attempt_means_no_other() -> None:
    assert RetryPolicy(max_attempts=1, base_seconds=1, cap_seconds=1).wait_seconds(1, failed) is None


@given(attempt=st.integers(1, 4))
def test_the_wait_is_random_between_nothing_and_its_bound(attempt: int) -> None:
    policy = RetryPolicy(max_attempts=5, base_seconds=0.5, cap_seconds=3)
    waits = {policy.wait_seconds(attempt, failed) for _ in range(20)}
    assert len(waits) > 1
    assert all(wait is not None and 0 <= wait <= 0.5 * 2 ** (attempt - 1) for wait in waits)


def test_retries_wait_for_retry_after_and_are_spread() -> None:
    assert always_longest.wait_seconds(1, limited(2)) == 2.5
    assert RetryPolicy(max_attempts=5, base_seconds=0.5, cap_seconds=3).wait_seconds(1, limited(2)) != 2.5


def test_a_retry_after_beyond_the_limit_ends_the_retries() -> None:
    assert always_longest.wait_seconds(1, limited(3)) == 3.5
    assert always_longest.wait_seconds(1, limited(3.001)) is None


def test_a_retry_after_of_zero_retries_soon() -> None:
    assert always_longest.wait_seconds(1, limited(0)) == 0.5


@pytest.mark.parametrize("code", FAILURES)
def test_only_what_may_succeed_later_is_tried_again(code: Code) -> None:
    waits = always_longest.wait_seconds(1, UpstreamFailure(code)) is not None
    assert waits == (FAILURES[code].retryable and code != "upstream_empty")


@pytest.mark.parametrize("code", [code for code, row in FAILURES.items() if row.type == INVALID_REQUEST])
def test_a_refusal_of_the_request_is_never_tried_again(code: Code) -> None:
    assert always_longest.wait_seconds(1, UpstreamFailure(code)) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW + 30, UTC), usegmt=True)}, 30.0),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW - 30, UTC), usegmt=True)}, 0.0),
        ({"retry-after": "Mon, 99 Foo 2025 00:00:00 GMT"}, None),
        ({"retry-after": "Mon, 24 Nov 2025 00:00:00 +99999999999999999999"}, None),
    ],
)
def test_reads_when_to_come_back(headers: Mapping[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers, unix_seconds=NOW) == seconds


@given(text=st.text(max_size=40))
def test_whatever_the_header_holds_the_answer_is_a_wait_or_none(text: str) -> None:
    seconds = read_retry_after({"retry-after": text, "retry-after-ms": text}, unix_seconds=NOW)
    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))
