"""Answers of a model with tokens in them, cut in every way, and what must come out: for the tests of restoring.

An answer is put together from pieces whose restored form is known beforehand, so that the expectation does not come
from the code that is tested. Beside these stand answers of scraps, where only stream and whole text are compared.
"""

import random
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.masks import Mask, Values
from b2b_chat.product.masking.restoring import Restorer

HOSTS: Final = frozenset(("crm.example.ru",))


def make_values() -> Values:
    """Ten people, so that PERSON_1 begins PERSON_10, and some values that are traps when they are read again."""
    values = Values()
    for kind, texts in (
        (
            Kind.PERSON,
            ("Иванов Иван", "Анна", "[PERSON_3]", "x" * 200, "O'Hara", "Ким", "А. Б.", "Лев", "Ия", "Десятый Пётр"),
        ),
        (Kind.EMAIL, ("a@example.com", "[", "PERSON_1")),
        (Kind.SECRET, ('p"a\\s\ns',)),
        (Kind.TEXT, ("[PERSON_1]",)),
    ):
        for number, text in enumerate(texts, 1):
            values.learn(text, [Mask(0, len(text), kind, number)])
    return values


VALUES: Final = make_values()
_KNOWN: Final = (
    *((Kind.PERSON, number) for number in range(1, 11)),
    *((Kind.EMAIL, number) for number in range(1, 4)),
    (Kind.SECRET, 1),
    (Kind.TEXT, 1),
)
_FORMS: Final = (
    ("[{K}_{n}]", "{v}"), ("[{k}_{n}]", "{v}"), ("[{K} {n}]", "{v}"), ("[{K}-{n}]", "{v}"), (r"[{K}\_{n}]", "{v}"), (r"\[{K}_{n}\]", "{v}"), (r"\[{K}\_{n}\]", "{v}"), ("[ {K}_{n} ]", "{v}"),
    ("[{K}_{n}|дат]", "{v}"), ("[{K}_{n} | Род.]", "{v}"), ("[{K}_{n}|ins]", "{v}"), ("([{K}_{n}])", "({v})"), ("[[{K}_{n}]]", "[{v}]"), ("({K}_{n})", "({v})"), ("{{{K}_{n}}}", "{{{v}}}"),
    ("[{K}_{n})", "{v}"), ("({K}_{n}]", "{v}"), (r"C:\[{K}_{n}]", r"C:\{v}"), ("{K}_{n}", "{v}"), (r"{K}\_{n}", "{v}"), ("**[{K}_{n}]**", "**{v}**"), ("`{K}_{n}`", "`{v}`"), ("«[{K}_{n}]»", "«{v}»"),
    ("[{K}_{n}, {K}_{n}]", "[{v}, {v}]"), ("https://crm.example.ru/?q=[{K}_{n}]", "https://crm.example.ru/?q={v}"), ("https://evil.example/?q=[{K}_{n}]", None), ("[m](https://evil.example/[{K}_{n}])", None),
    ("<https://evil.example/ [{K}_{n}]>", None), ("www.evil.example/[{K}_{n}]", None), ("//evil.example/[{K}_{n}]", None), ("https://crm.example.ru@evil.example/[{K}_{n}]", None),
    ("[{K}_{n}](/x?q=[{K}_{n}])", "{v}(/x?q=[{K}_{n}])"),
    ("{K}_{n}_x", None), ("x{K}_{n}", None), ("{K}_{n}1234567", None), ("[{K}_0]", None), ("[{K}_99]", None), ("[{K}_{n}", "[{v}"), ("[{K}{n}]", None), ("[{K}__{n}]", None), ("[ {K} ]", None), ("PERS0N_1", None),
)  # fmt: skip
_WORDS: Final = (
    "Договор",
    "с",
    "готов.",
    "P",
    "PER",
    "[1]",
    "[см.",
    "(",
    "\\",
    "the",
    "[x]",
    "{",
    "NAME",
    "IP",
    "CARD 1",
    "PERSON",
    "_1",
    "—",
    "😀",
    "e\u0301",
    "\n",
    "**",
    "1.",
    "[P",
    "<b>",
    "TEXT",
    "[ ]",
    "a_1",
    "person_1",
)
_SCRAPS: Final = (
    "[", "]", "(", ")", "{", "}", "<", ">", "\\", "_", "-", " ", "|", "PERSON", "person", "Person", "EMAIL", "PE", "RSON", "1", "10", "2", "0", "99", "дат", "у", "ом", "'а", "\\_", "[PERSON_1", "PERSON_1]", "[PERSON_1]",
    "https://", "evil.example/", "crm.example.ru/", "](", "\n", "//", "www.", '"', "?q=", "TEXT_1", "x", "ж", ".", "[PERSON_10|", "[EMAIL_2]", "[PERSON_3]", "mailto:", "src=", "`",
)  # fmt: skip


class Answer(NamedTuple):
    """What came over the border, and what must come out; None where only stream and whole text are compared."""

    text: str
    expected: str | None


def answers(seed: int) -> Iterator[Answer]:
    """Yield answers without end."""
    source = random.Random(seed)
    while True:
        yield _scraps(source) if source.random() < 0.3 else _composed(source)


def _scraps(source: random.Random) -> Answer:
    return Answer("".join(source.choice(_SCRAPS) for _ in range(source.randint(1, 24))), None)


def _composed(source: random.Random) -> Answer:
    text, expected = [], []
    for _ in range(source.randint(1, 6)):
        if source.random() < 0.5:
            word = source.choice(_WORDS)
            text.append(word)
            expected.append(word)
        else:
            kind, number = source.choice(_KNOWN)
            form, restored = source.choice(_FORMS)
            value = VALUES.find(kind, number) or ""
            written = form.format(K=kind, k=kind.lower(), n=number)
            text.append(written)
            expected.append(written if restored is None else restored.format(v=value, K=kind, n=number))
    return Answer(" . ".join(text), " . ".join(expected))


def cuts(source: random.Random, text: str) -> list[str]:
    """Cut a text at random: into characters, into tokens' length, or seldom."""
    rate = source.choice((1.0, 0.5, 0.2, 0.05))
    pieces, start = [], 0
    for position in range(1, len(text)):
        if source.random() < rate:
            pieces.append(text[start:position])
            start = position
    return [*pieces, text[start:]]


def stream(make: Callable[[], Restorer], pieces: list[str]) -> tuple[str, list[Mask], int]:
    """Restore pieces and return the text, its masks and the count of what was left."""
    restorer = make()
    text = "".join([restorer.feed(piece) for piece in pieces]) + restorer.end()
    return text, restorer.masks, restorer.unknown


def fault(make: Callable[[], Restorer], answer: Answer, pieces: list[str]) -> str | None:
    """Return what is wrong with how an answer is restored in pieces; None when nothing is."""
    whole = stream(make, [answer.text])
    if answer.expected is not None and whole[0] != answer.expected:
        return f"the whole text {answer.text!r} became {whole[0]!r} instead of {answer.expected!r}"
    cut = stream(make, pieces)
    if cut != whole:
        return f"{pieces!r} became {cut!r} instead of {whole!r}"
    for mask in whole[1]:
        if whole[0][mask.start : mask.end] != VALUES.find(mask.kind, mask.number):
            return f"the masks of {answer.text!r} do not cover the values in {whole[0]!r}"
    return None


def first_fault(make: Callable[[], Restorer], seed: int, count: int) -> str | None:
    """Restore `count` streams, every split position of each tenth answer among them; return the first fault."""
    source = random.Random(seed + 1)
    done = 0
    for index, answer in enumerate(answers(seed)):
        tries = [[answer.text[:at], answer.text[at:]] for at in range(len(answer.text) + 1)] if index % 10 == 0 else []
        for pieces in (*tries, cuts(source, answer.text)):
            found = fault(make, answer, pieces)
            if found is not None:
                return found
            done += 1
        if done >= count:
            return None
    return None
