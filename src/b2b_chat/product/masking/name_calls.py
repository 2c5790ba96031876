"""Names that somebody is called or greeted by: «Саш, глянь», «Привет, Лен!», "Hi Grace,"."""

from collections.abc import Iterator
from typing import Final

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.lexicon import PATRONYMIC, VOCATIVES
from b2b_chat.product.masking.names import RANK
from b2b_chat.product.masking.spans import Span
from b2b_chat.product.masking.text import Text
from b2b_chat.product.masking.word_list import WordList

_GREETINGS: Final = frozenset(
    ("привет", "здравствуй", "здравствуйте", "приветствую", "добрый", "доброе", "доброго", "спасибо", "hello", "hi")
)
_HELLOS: Final = frozenset(("hi", "hello", "hey"))


def called(text: Text, words: WordList) -> Iterator[Span]:
    """Yield short names that somebody is called by: «Саш, глянь», «Привет, Лен!»."""
    raw = text.raw
    for index, word in enumerate(words.words):
        if word in VOCATIVES and raw[words.ends[index] : words.ends[index] + 1] in (",", "!"):
            greeted = index > 0 and words.words[index - 1] in ("привет", "здравствуй", "слушай", "спасибо", "ну")
            if words.whole(index) and (
                greeted or ((words.capital(index) or index == 0) and words.begins_sentence(index))
            ):
                yield Span(words.starts[index], words.ends[index], Kind.NAME, RANK - 1)
        elif word in _HELLOS and words.joined(index) and raw[words.ends[index + 1] :][:1] in (",", "!", "\n"):
            if words.proper(index + 1):
                yield Span(words.starts[index + 1], words.ends[index + 1], Kind.NAME, RANK - 2)
        elif word in _GREETINGS:
            for other in (index - 1, index + 1):
                if words.proper(other) and words.gap(min(index, other)) == ", " and not words.flags[other] & PATRONYMIC:
                    yield Span(words.starts[other], words.ends[other], Kind.NAME, RANK - 2)
