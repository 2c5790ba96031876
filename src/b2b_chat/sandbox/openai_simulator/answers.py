"""The simulator's answer: a text in tokens, why it ended, and its usage.

Counting is simple and deterministic:
* a prompt has one token for each four bytes of a message's text, rounded up, four more for the message, and three for
  the answer's start;
* an answer has one token for each delta: up to eight characters with the white space before them, or a piece of a
  call;
* an image has 70 tokens at low detail, else 630. Definitions of tools and schemas are free.
"""

# ruff: noqa: RUF001 - the Russian letters are meant

import json
import re
import zlib
from collections.abc import Iterator
from itertools import chain, islice
from typing import Final, Literal

from msgspec import Struct

from b2b_chat.sandbox.openai_simulator.calls import Call, calls_for
from b2b_chat.sandbox.openai_simulator.chat_request import ChatRequest, NamedToolChoice
from b2b_chat.sandbox.openai_simulator.directives import Directives
from b2b_chat.sandbox.openai_simulator.examples import example

BYTES_PER_TOKEN: Final = 4
TOKENS_PER_MESSAGE: Final = 4
TOKENS_OF_START: Final = 3
TOKENS_OF_SMALL_IMAGE: Final = 70
TOKENS_OF_IMAGE: Final = 630
"""Of one with four tiles."""
_QUOTED_CHARACTERS: Final = 200
_TOKEN: Final = re.compile(r"\s*\S{1,8}|\s+")
_CYRILLIC: Final = re.compile("[а-яё]", re.IGNORECASE)

_RUSSIAN: Final = (
    "\n\nОтвет приходит по частям, как у настоящей модели ⚡.",
    "\n\n**Коротко:** запрос подписан, отправлен и посчитан.",
    "\n- Стоимость считается по `usage`, один раз за сообщение.",
    "\n- История остаётся в вашей базе, в России 🇷🇺.",
    "\n\nСпросите ещё раз, и слова будут те же.",
    "\n\nA short note in English, so that both alphabets travel.",
    "\n\nЧтобы ответила настоящая модель, задайте `OPENAI_API_KEY` 🔑.",
)
_ENGLISH: Final = (
    "\n\nThe answer arrives piece by piece, as from a real model ⚡.",
    "\n\n**In short:** the request was signed, sent and counted.",
    "\n- The price follows from `usage`, once for each message.",
    "\n- The history stays in your own database 🗄️.",
    "\n\nAsk again and the words will be the same.",
    "\n\nНесколько слов по-русски, чтобы оба алфавита прошли весь путь.",
    "\n\nSet `OPENAI_API_KEY` to hear the real model 🔑.",
)


def tokenise(text: str) -> list[str]:
    """The tokens of an answer; joined, they are the text again."""
    return _TOKEN.findall(text)


class _Language(Struct, frozen=True):
    opening: str
    quotation: str
    sentences: tuple[list[str], ...]


_IN_RUSSIAN: Final = _Language(
    "Это ответ симулятора 🤖, настоящая модель не вызывалась.",
    " Вы написали: «{}».",
    tuple(map(tokenise, _RUSSIAN)),
)
_IN_ENGLISH: Final = _Language(
    "This is a simulated answer 🤖; no real model was asked.",
    " You wrote: “{}”.",
    tuple(map(tokenise, _ENGLISH)),
)


class PromptDetails(Struct, frozen=True):
    """A part of `Usage`."""

    cached_tokens: int
    audio_tokens: int = 0


class CompletionDetails(Struct, frozen=True):
    """A part of `Usage`."""

    reasoning_tokens: int
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class BareUsage(Struct, frozen=True):
    """The three figures that count."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Usage(BareUsage, frozen=True):
    """The figures with their details, as OpenAI sends them."""

    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class Answer(Struct, frozen=True):
    """A whole answer, not yet on any wire."""

    tokens: list[str]
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter"] | None
    usage: BareUsage
    calls: list[Call] = []
    is_refusal: bool = False


def _count_images(request: ChatRequest) -> int:
    images = [image for message in request.messages for image in message.images]
    return sum(TOKENS_OF_SMALL_IMAGE if image.detail == "low" else TOKENS_OF_IMAGE for image in images)


def _structured(request: ChatRequest) -> str | None:
    """A text of the form that is asked for; None where that is plain text."""
    form = request.response_format
    if form is None or form.type == "text":
        return None
    named = form.json_schema
    value = {"answer": "simulated"} if named is None else example(named.schema or {})
    return json.dumps(value, ensure_ascii=False)


def _until_stop(tokens: list[str], stop: str | list[str] | None) -> list[str]:
    """The answer up to the first of the texts that end it."""
    stops = [stop] if isinstance(stop, str) else stop or []
    text = "".join(tokens)
    ends = [position for each in stops if (position := text.find(each)) >= 0]
    return tokenise(text[: min(ends)]) if ends else tokens


def count_prompt(texts: list[str]) -> int:
    """The tokens of a prompt with these messages."""
    pieces = sum(-(-len(text.encode(errors="surrogatepass")) // BYTES_PER_TOKEN) for text in texts)
    return pieces + TOKENS_PER_MESSAGE * len(texts) + TOKENS_OF_START


def compose(request: ChatRequest, prompt: str, wish: Directives, *, seed: int, answer_tokens: int) -> Answer:
    """The answer to a request; the same seed, messages and directives give the same one.

    Args:
        request: What was asked.
        prompt: The user's last words, without directives.
        wish: The directives.
        seed: Chooses among the sentences.
        answer_tokens: The answer is at least so long, where the directives say nothing of it.
    """
    texts = [message.text for message in request.messages]
    calls, structured = calls_for(request, wish), _structured(request)
    if wish.text is not None:
        tokens = tokenise(wish.text)
    elif calls:
        tokens = []
    elif structured is not None:
        tokens = tokenise(structured)
    else:
        choice = zlib.crc32("\0".join(texts).encode(errors="surrogatepass"), seed & 0xFFFFFFFF)
        words = _speak(prompt, choice)
        tokens = _whole_sentences(words, answer_tokens) if wish.tokens is None else _exactly(words, wish.tokens)
    tokens, finish_reason = _limit(_until_stop(tokens, request.stop), request, wish)
    completion = len(tokens) + wish.reasoning_tokens + sum(len(call.arguments) + 1 for call in calls)
    prompt_tokens = count_prompt(texts) + _count_images(request)
    usage: BareUsage
    if wish.usage == "zero":
        usage = Usage(0, 0, 0, PromptDetails(0), CompletionDetails(0))
    elif wish.usage == "bare":
        usage = BareUsage(prompt_tokens, completion, prompt_tokens + completion)
    else:
        usage = Usage(
            prompt_tokens,
            completion,
            prompt_tokens + completion,
            PromptDetails(min(wish.cached_tokens, prompt_tokens)),
            CompletionDetails(wish.reasoning_tokens),
        )
    ended = "tool_calls" if calls and not isinstance(request.tool_choice, NamedToolChoice) else finish_reason
    return Answer(tokens, None if wish.no_finish else ended, usage, calls, wish.refusal)


def _speak(prompt: str, choice: int) -> Iterator[list[str]]:
    """An opening that repeats the prompt, then sentences without end."""
    language = _IN_RUSSIAN if _CYRILLIC.search(prompt) else _IN_ENGLISH
    quoted = prompt if len(prompt) <= _QUOTED_CHARACTERS else prompt[:_QUOTED_CHARACTERS] + "…"
    yield tokenise(language.opening + (language.quotation.format(quoted) if quoted else ""))
    count = len(language.sentences)
    while True:
        yield language.sentences[choice % count]
        choice += 1


def _whole_sentences(words: Iterator[list[str]], least: int) -> list[str]:
    tokens = next(words)
    while len(tokens) < least:
        tokens = tokens + next(words)
    return tokens


def _exactly(words: Iterator[list[str]], count: int) -> list[str]:
    return list(islice(chain.from_iterable(words), count))


def _limit(
    tokens: list[str], request: ChatRequest, wish: Directives
) -> tuple[list[str], Literal["stop", "length", "content_filter"]]:
    """Cut the answer where the filter or the request's own limit ends it."""
    filtered = wish.content_filter_after
    limit = request.max_completion_tokens or request.max_tokens
    visible = None if limit is None else max(limit - wish.reasoning_tokens, 0)
    if filtered is not None and (visible is None or filtered <= visible):
        return tokens[:filtered], "content_filter"
    if visible is not None and len(tokens) > visible:
        return tokens[:visible], "length"
    return tokens, "stop"
