from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2b_chat.sandbox.openai_simulator.answers import Answer, Usage, compose, count_prompt, tokenise
from b2b_chat.sandbox.openai_simulator.chat_request import ChatRequest, ContentPart, Message
from b2b_chat.sandbox.openai_simulator.directives import Directives


def answer_to(
    prompt: str = "Hello", wish: Directives | None = None, *, seed: int = 0, answer_tokens: int = 40, **request: Any
) -> Answer:
    asked = ChatRequest([Message("user", prompt)], "gpt-5.2", **request)
    return compose(asked, prompt, wish or Directives(), seed=seed, answer_tokens=answer_tokens)


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_tokens_are_the_text_in_pieces(text: str) -> None:
    tokens = tokenise(text)

    assert "".join(tokens) == text
    assert all(len(token.strip()) <= 8 for token in tokens)


def test_the_answer_says_what_it_is_and_repeats_the_prompt() -> None:
    text = "".join(answer_to("How much is {this}?").tokens)

    assert text.startswith("This is a simulated answer 🤖")
    assert "“How much is {this}?”" in text


def test_a_russian_prompt_is_answered_in_russian() -> None:
    text = "".join(answer_to("Сколько стоит?").tokens)

    assert text.startswith("Это ответ симулятора")
    assert "«Сколько стоит?»" in text


def test_a_long_prompt_is_quoted_in_part() -> None:
    assert "x" * 200 + "…" in "".join(answer_to("x" * 5000).tokens)


def test_the_same_seed_and_messages_give_the_same_answer() -> None:
    assert answer_to("One") == answer_to("One")
    assert len({"".join(answer_to("One", seed=seed).tokens) for seed in range(7)}) > 1


def test_an_answer_is_as_long_as_the_settings_say_and_ends_with_a_sentence() -> None:
    short, long = answer_to(answer_tokens=0), answer_to(answer_tokens=200)

    assert len(short.tokens) < 40
    assert len(long.tokens) >= 200
    assert "".join(long.tokens).endswith((".", "⚡.", "🔑."))


@pytest.mark.parametrize("tokens", [0, 1, 1000])
def test_exactly_so_many_tokens(tokens: int) -> None:
    answer = answer_to(wish=Directives(tokens=tokens))

    assert len(answer.tokens) == answer.usage.completion_tokens == tokens
    assert answer.finish_reason == "stop"


def test_an_exact_text() -> None:
    assert answer_to(wish=Directives(text="a\0\ud800 b")).tokens == ["a\0\ud800", " b"]


def test_the_limit_cuts_the_answer() -> None:
    answer = answer_to(max_completion_tokens=5)

    assert (len(answer.tokens), answer.finish_reason, answer.usage.completion_tokens) == (5, "length", 5)


def test_an_answer_that_fits_the_limit_exactly_is_whole() -> None:
    assert answer_to(wish=Directives(tokens=5), max_completion_tokens=5).finish_reason == "stop"


def test_the_older_name_of_the_limit_counts_too() -> None:
    assert len(answer_to(max_tokens=4).tokens) == 4


def test_reasoning_takes_its_part_of_the_limit() -> None:
    answer = answer_to(wish=Directives(reasoning_tokens=10), max_completion_tokens=4)

    assert (answer.tokens, answer.finish_reason) == ([], "length")


def test_the_content_filter_ends_the_answer() -> None:
    answer = answer_to(wish=Directives(content_filter_after=2))

    assert (len(answer.tokens), answer.finish_reason) == (2, "content_filter")


def test_the_limit_may_come_before_the_content_filter() -> None:
    assert answer_to(wish=Directives(content_filter_after=9), max_completion_tokens=3).finish_reason == "length"


def test_an_answer_without_a_reason() -> None:
    assert answer_to(wish=Directives(no_finish=True)).finish_reason is None


def test_usage_adds_up() -> None:
    usage = answer_to(wish=Directives(tokens=6, reasoning_tokens=3, cached_tokens=10**6)).usage

    assert isinstance(usage, Usage)
    assert usage.completion_tokens == 9
    assert usage.total_tokens == usage.prompt_tokens + 9
    assert usage.completion_tokens_details.reasoning_tokens == 3
    assert usage.prompt_tokens_details.cached_tokens == usage.prompt_tokens


def test_usage_of_zero_and_without_details() -> None:
    zero, bare = answer_to(wish=Directives(usage="zero")).usage, answer_to(wish=Directives(usage="bare")).usage

    assert (zero.prompt_tokens, zero.completion_tokens, zero.total_tokens) == (0, 0, 0)
    assert bare.total_tokens > 0
    assert not isinstance(bare, Usage)


def test_a_prompt_is_counted_by_its_bytes() -> None:
    assert count_prompt(["12345"]) == 2 + 4 + 3
    assert count_prompt(["да", "", "\ud800"]) == 1 + 0 + 1 + 3 * 4 + 3


def test_a_message_in_parts_counts_as_its_text() -> None:
    message = Message("user", [ContentPart("text", "Hel"), ContentPart("image_url"), ContentPart("text", "lo")])

    assert message.text == "Hello"
    assert Message("assistant").text == ""
