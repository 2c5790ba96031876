"""Which secrets are good enough for an app that others reach: long, unlike an example, and hard to guess."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from b2b_chat.kit.settings import Secret, is_this_machine

AcceptDevelopmentSecrets: TypeAlias = Annotated[
    bool,
    Meta(
        description=(
            "Listen beyond this machine with secrets that anyone can read in an example; for containers on a laptop, "
            "whose ports are published on the laptop alone. Refused in prod"
        )
    ),
]

MIN_SECRET_BYTES: Final = 32
_PLACEHOLDER = re.compile(
    r"change.?me|replace|placeholder|example|your[-_ ]|secret|password|xxx|todo|12345678", re.IGNORECASE
)
_MIN_SURPRISES: Final = 12
"""Of 32 random hexadecimal digits, fewer than one in a million has less."""
_ROWS: Final = ("qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "1234567890-=", "йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю")
_ROW_STEPS: Final = frozenset(pair for row in _ROWS for forth in pairwise(row) for pair in (forth, forth[::-1]))


def secret_problems(secrets: Mapping[str, Secret | None]) -> Iterator[str]:
    """Return why production refuses these secrets, by variable name. None stands for one that is not set."""
    seen: dict[Secret, str] = {}
    for name, secret in secrets.items():
        if secret is None:
            continue
        value = secret.reveal()
        if not value:
            yield f"{name} is empty; production needs it."
        elif len(value.encode()) < MIN_SECRET_BYTES:
            yield f"{name} is shorter than {MIN_SECRET_BYTES} bytes. Make one with: openssl rand -hex 32"
        elif value != value.strip():
            yield f"{name} begins or ends with white space; the other server's copy would differ."
        elif looks_like_placeholder(value) or surprises(value) < _MIN_SURPRISES:
            yield f"{name} looks like a placeholder. Make one with: openssl rand -hex 32"
        elif secret in seen:
            yield f"{name} is the same as {seen[secret]}; every secret must be its own."
        seen.setdefault(secret, name)


def looks_like_placeholder(value: str) -> bool:
    """Return whether a secret or password is still that of an example."""
    return _PLACEHOLDER.search(value) is not None


def surprises(value: str) -> int:
    """Count the bytes of a text that do not follow from those before them.

    What follows is a character that goes on with a row (`abc`, `321`, `aaa`, `qwe`), and one that has followed the same
    character before, as in a pattern that repeats itself.
    """
    text, seen, found = value.lower(), set[tuple[str, str]](), 0
    for pair in pairwise(text):
        goes_on = abs(ord(pair[1]) - ord(pair[0])) <= 1 or pair in _ROW_STEPS
        if not goes_on and pair not in seen:
            found += len(pair[1].encode())
        seen.add(pair)
    return found


def public_secret_problems(secrets: Mapping[str, Secret | None], *, reached_by: Mapping[str, str]) -> Iterator[str]:
    """Return why an app that others reach may not start with such secrets, whatever APP_ENV says.

    Args:
        secrets: By variable name.
        reached_by: The host in each variable by which others may reach the app: where it listens, its public URL.
    """
    beyond = next((name for name, host in reached_by.items() if not is_this_machine(host)), None)
    if beyond is not None:
        for problem in secret_problems(secrets):
            yield f"{problem} {beyond} lets others reach this app, so this holds without APP_ENV=prod too."
