"""Our count of tokens is the model's: the expected counts are those of `tiktoken`, which OpenAI publishes."""

# ruff: noqa: RUF001 - the letters are meant

import asyncio
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2b_chat.product.credits.tokens import count_tokens

BY_TIKTOKEN = {
    "Russian": (
        (
            "Договор аренды нежилого помещения заключается в письменной форме путём составления одного документа, "
            "подписанного сторонами. Несоблюдение формы договора влечёт его недействительность."
        ),
        39,
    ),
    "English": (
        (
            "A lease of commercial premises is made in writing by one document that both parties sign. A lease that is "
            "not made in this form is void, whatever the parties have agreed otherwise."
        ),
        36,
    ),
    "code": (
        (
            'def squares(limit: int) -> list[int]:\n    """Return the squares below a limit."""\n'
            "    return [n * n for n in range(limit) if n * n < limit]\n\n\n"
            'if __name__ == "__main__":\n    print(squares(100))\n'
        ),
        53,
    ),
    "digits": (
        "4276 3800 1234 5678; 40817810099910004312; 1 234 567,89; 2026-12-01T03:05:00Z; 3.14159265358979",
        53,
    ),
    "Chinese and Japanese": (
        "房屋租赁合同应当采用书面形式,并由双方当事人签字。未采用书面形式的合同无效。貸室契約は書面で行う。",
        42,
    ),
    "mixed": (
        "Сервис b2b-chat отвечает за 250 ms 🚀: status=200, «готово»; see https://example.com/a?b=1&c=%20",
        37,
    ),
    "nothing": ("", 0),
}


@pytest.mark.parametrize("kind", BY_TIKTOKEN)
def test_a_text_has_as_many_as_the_model_counts(kind: str) -> None:
    text, expected = BY_TIKTOKEN[kind]
    assert asyncio.run(count_tokens(text)) == expected


@pytest.mark.parametrize("kind", [kind for kind in BY_TIKTOKEN if kind != "nothing"])
def test_a_long_text_counted_in_pieces_has_hardly_more(kind: str) -> None:
    paragraph = BY_TIKTOKEN[kind][0].strip() + "\n"
    once = asyncio.run(count_tokens(paragraph))
    assert once * 400 <= asyncio.run(count_tokens(paragraph * 400)) <= once * 400 * 1.01


async def test_others_run_while_a_long_text_is_counted() -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    await count_tokens("Договор " * 10_000)
    other.cancel()
    assert turns >= 9


@given(st.text(max_size=300))
def test_no_token_covers_less_than_a_byte(text: str) -> None:
    assert asyncio.run(count_tokens(text)) <= len(text.encode())


def test_the_package_around_the_tokenizer_is_not_loaded() -> None:
    program = (
        "import sys; from b2b_chat.product.credits.tokens import load_tokenizer; load_tokenizer(); "
        "print('bpe_openai' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
