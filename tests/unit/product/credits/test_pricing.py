"""What answers cost: exact, rounded up, and never more than was held."""

from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2b_chat.contract.schemas import ChatMessage, ChatMetadata, ChatRequest, Usage
from b2b_chat.product.credits.pricing import Prices, max_prompt_tokens, prompt_tokens, with_margin

MILLIONTH = Decimal("0.000001")

prices = st.builds(
    Prices,
    st.decimals(0, 1_000_000, places=6),
    st.decimals(MILLIONTH, 1_000_000, places=6),
)
tokens = st.integers(0, 10_000_000)
credits_left = st.decimals(MILLIONTH, 10**12, places=6)
texts = st.text(max_size=200)


def used(prompt_tokens: int, completion_tokens: int) -> Usage:
    """So many tokens."""
    return Usage(prompt_tokens, completion_tokens, prompt_tokens + completion_tokens)


@pytest.mark.parametrize(
    ("prompt_tokens", "completion_tokens", "cost"),
    [(0, 0, "0"), (1000, 1000, "1.8"), (11, 7, "0.0134"), (1, 0, "0.0002"), (4096, 1, "0.8208")],
)
def test_the_price_of_a_thousand_each(prompt_tokens: int, completion_tokens: int, cost: str) -> None:
    assert Prices(Decimal("0.2"), Decimal("1.6")).cost(used(prompt_tokens, completion_tokens)) == Decimal(cost)


def test_a_part_of_a_millionth_is_rounded_up() -> None:
    assert Prices(Decimal("0.000001"), Decimal("0.000001")).cost(used(1, 0)) == MILLIONTH
    assert Prices(Decimal("0.0010001"), Decimal(1)).cost(used(1, 0)) == Decimal("0.000002")


@given(prices, tokens, tokens)
def test_a_cost_is_the_least_that_pays_with_six_places(prices: Prices, prompt: int, completion: int) -> None:
    cost = prices.cost(used(prompt, completion))
    exact = prices.prompt_credits_per_1k_tokens * prompt + prices.completion_credits_per_1k_tokens * completion
    assert 0 <= cost * 1000 - exact < 1000 * MILLIONTH
    assert cost.as_tuple().exponent == -6


@given(prices, tokens, tokens, tokens, tokens)
def test_more_tokens_never_cost_less(prices: Prices, prompt: int, completion: int, more: int, longer: int) -> None:
    assert prices.cost(used(prompt, completion)) <= prices.cost(used(prompt + more, completion + longer))


@given(prices, credits_left, tokens)
def test_what_is_affordable_is_paid_for(prices: Prices, available: Decimal, prompt: int) -> None:
    affordable = prices.affordable_completion_tokens(available, prompt)
    if affordable >= 0:
        assert prices.cost(used(prompt, affordable)) <= available
    else:
        assert prices.cost(used(prompt, 0)) > available


@given(prices, st.lists(st.integers(0, 100_000), min_size=1, max_size=5), st.integers(1, 100_000), credits_left)
def test_an_answer_within_its_limit_costs_no_more_than_is_held(
    prices: Prices, text_tokens: list[int], max_completion_tokens: int, available: Decimal
) -> None:
    prompt = prompt_tokens(text_tokens)
    held = min(prices.cost(used(with_margin(prompt), max_completion_tokens)), available)
    limit = min(prices.affordable_completion_tokens(held, prompt), max_completion_tokens)
    if limit >= 0:
        assert prices.cost(used(prompt, limit)) <= held


def test_what_is_held_for_the_longest_answer_allows_it() -> None:
    prices, prompt = Prices(Decimal("0.2"), Decimal("1.6")), prompt_tokens([1000, 2000, 3])
    held = prices.cost(used(with_margin(prompt), 4096))
    assert prices.affordable_completion_tokens(held, prompt) >= 4096


@given(st.lists(texts, max_size=5))
def test_no_prompt_has_more_tokens_than_bytes(contents: list[str]) -> None:
    nobody = UUID(int=0)
    messages = [ChatMessage("user", content) for content in contents]
    metadata = ChatMetadata(nobody, nobody, nobody, nobody)
    request = ChatRequest("gpt-5.2", messages, stream=True, max_completion_tokens=1, metadata=metadata)
    assert max_prompt_tokens(request) == sum(len(content.encode()) + 16 for content in contents)


@given(st.integers(0, 1_000_000))
def test_a_margin_covers_a_miscount_of_a_twentieth(tokens: int) -> None:
    assert tokens * Decimal("1.05") <= with_margin(tokens) <= tokens * Decimal("1.05") + 17


def test_the_format_adds_tokens_to_a_prompt() -> None:
    assert prompt_tokens([]) == 3
    assert prompt_tokens([5, 0, 7]) == 12 + 3 * 4 + 3
