"""Hidden tokens of an answer that was ended early, by what the upstream is known to do."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2b_chat.product.chat.pace import HiddenTokens, Pace, hidden_tokens


@pytest.fixture
def paced(monkeypatch: pytest.MonkeyPatch) -> "Paced":
    return Paced(monkeypatch)


class Paced:
    """Makes paces of answers whose texts came at given seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self._now)

    def __call__(self, *seconds: float, then: float = 0.0) -> Pace:
        began, pace = self._now, Pace()
        for each in seconds:
            self._now = began + each
            pace.note_text()
        self._now += then
        return pace


def test_a_wait_ends_with_the_first_text(paced: Paced) -> None:
    pace = paced(3, 4, 9, then=100)
    assert (pace.wait_seconds, pace.writing_seconds) == (3, 6)
    pace = paced(then=5)
    assert (pace.wait_seconds, pace.writing_seconds) == (5, 0)


@pytest.mark.parametrize(
    ("completion", "reasoning", "text", "hidden"),
    [(3302, 3000, 302, 3000), (10, 90, 0, 10), (500, None, 490, 0), (3302, None, 300, 3002), (7, None, 5, 0)],
)
def test_what_is_hidden_is_told_or_is_what_the_text_does_not_explain(
    completion: int, reasoning: int | None, text: int, hidden: int
) -> None:
    assert hidden_tokens(completion, reasoning, text) == hidden


def test_a_wait_is_worth_what_other_waits_were(paced: Paced) -> None:
    known = HiddenTokens()
    for wait, hidden in ((20, 2000), (10, 1000), (0.5, 0)):
        known.observe(paced(wait), hidden)
    assert known.estimate(paced(30, 35), 400) == pytest.approx(3000, rel=0.05)
    assert known.estimate(paced(0.5, 5), 400) < 60
    assert known.estimate(paced(then=10), 0) == pytest.approx(1000, rel=0.05)


def test_an_upstream_without_reasoning_has_none_however_slow_it_is(paced: Paced) -> None:
    known = HiddenTokens()
    known.observe(paced(0.5, 4), 0)
    assert known.estimate(paced(60, 61), 100) == 0


def test_where_waits_tell_nothing_the_average_counts(paced: Paced) -> None:
    known = HiddenTokens()
    known.observe(paced(0.001), 3000)
    assert known.estimate(paced(0.004), 100) == 3000


def test_before_anything_is_known_a_long_wait_was_spent_at_the_pace_of_the_text(paced: Paced) -> None:
    known = HiddenTokens()
    assert known.estimate(paced(32, 34), 200) == 3000
    assert known.estimate(paced(1.5, 3.5), 200) == 0
    assert known.estimate(paced(30), 200) == 0  # no pace can be told
    assert known.estimate(paced(then=30), 0) == 0


def test_what_the_upstream_did_long_ago_fades(paced: Paced) -> None:
    known = HiddenTokens()
    for _ in range(50):
        known.observe(paced(10), 1000)
    for _ in range(300):
        known.observe(paced(10), 0)
    assert known.estimate(paced(10), 0) < 10


@given(st.lists(st.tuples(st.floats(0, 600), st.integers(0, 100_000)), max_size=20), st.integers(0, 10_000))
def test_it_is_never_negative_and_always_a_number(seen: list[tuple[float, int]], text_tokens: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        paced, known = Paced(monkeypatch), HiddenTokens()
        for wait, hidden in seen:
            known.observe(paced(wait), hidden)
        assert known.estimate(paced(5, 6), text_tokens) >= 0
